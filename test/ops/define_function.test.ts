import { describe, expect, it } from "vitest";
import { FrozenModel } from "../../src/graph/index.js";
import {
  defineFunction,
  defineOp,
  Generator,
  Linear,
  Module,
  randn,
  Sequential,
  type Tensor,
  tensor,
} from "../../src/index.js";

describe("defineFunction", () => {
  const straightThrough = defineFunction({
    name: "roundStraightThrough",
    forward: (_, x: Tensor) => tensor(x.data.map(Math.round), { shape: x.shape }),
    backward: (_, grad) => grad,
  });

  it("passes the gradient on as its backward says", () => {
    const x = tensor([1.4, 2.6], { requiresGrad: true });
    const y = straightThrough(x.mul(2));
    y.mul(y).sum().backward();
    expect(y.toArray()).toEqual([3, 5]);
    expect(x.grad?.toArray()).toEqual([12, 20]);
  });

  it("hands saved tensors from forward to backward, and takes null for no gradient", () => {
    const scale = defineFunction({
      name: "scale",
      forward(context, x: Tensor, factor: Tensor) {
        context.saveForBackward(factor);
        return x.mul(factor);
      },
      backward: ({ savedTensors: [factor] }, grad) => [grad.mul(factor), null],
    });
    const [x, factor] = [tensor([1, 2], { requiresGrad: true }), tensor([3, 4], { requiresGrad: true })];
    scale(x, factor).sum().backward();
    expect([x.grad?.toArray(), factor.grad?.toArray()]).toEqual([
      [3, 4],
      [0, 0],
    ]);
  });

  it("ends the tensors of a backward pass with it, so that none that is kept has other values later", () => {
    const kept: Tensor[] = [];
    const double = defineFunction({
      name: "double",
      forward: (_, x: Tensor) => x.mul(2),
      backward(_, grad) {
        const result = grad.mul(2);
        kept.push(grad, result, tensor(grad.data.slice()));
        return result;
      },
    });
    const x = tensor([1, 2], { requiresGrad: true });
    double(x).mul(3).sum().backward();
    expect(x.grad?.toArray()).toEqual([6, 6]);
    const [grad, result, copy] = kept;
    for (const ended of [grad, result]) expect(() => ended.data).toThrow("a step or a batch that ended");
    expect(copy.toArray()).toEqual([3, 3]);
  });

  it("refuses a gradient of another shape, and what is no tensor", () => {
    const wrong = defineFunction({
      name: "wrong",
      forward: (_, x: Tensor) => x.exp(),
      backward: (_, grad) => grad.sum(),
    });
    const loss = wrong(tensor([1, 2], { requiresGrad: true })).sum();
    expect(() => loss.backward()).toThrow("wrong: gradient 0: expected shape [2], got []");
    expect(() => wrong(3 as never)).toThrow("wrong: input 0: expected a Tensor, got 3");
  });

  it.each<[unknown, string]>([
    [tensor([1, 1]), "two: backward(): expected a gradient, or null, of each of 2 inputs, got 1"],
    [[null, null, null], "two: backward(): expected a gradient, or null, of each of 2 inputs, got 3"],
    [undefined, "two: backward(): expected a gradient, or null, of each of 2 inputs, got 1"],
    [[tensor([1, 1]), undefined], "two: gradient 1: expected a Tensor, got undefined"],
  ])("refuses gradients that are not one for each input: %#", (given, message) => {
    const two = defineFunction({
      name: "two",
      forward: (_, x: Tensor, y: Tensor) => x.add(y),
      backward: () => given as never,
    });
    const [x, y] = [tensor([1, 2], { requiresGrad: true }), tensor([1, 2], { requiresGrad: true })];
    expect(() => two(x, y).sum().backward()).toThrow(message);
  });
});

describe("defineOp", () => {
  it("makes an operation of kernels of one's own", () => {
    const double = defineOp<null, null>({
      name: "double",
      forward: ([x]) => ({ data: x.data.map((value) => 2 * value), shape: x.shape, saved: null }),
      backward: (grad, [into]) => into?.set(grad.map((value) => 2 * value)),
    });
    const x = tensor([1, 2], { requiresGrad: true });
    double([x.exp()], null).sum().backward();
    expect(x.grad?.data).toEqual(Float32Array.of(2 * Math.exp(1), 2 * Math.exp(2)));
    expect(() => double(x as never, null)).toThrow(
      "double: inputs: expected a list of tensors, got a value of type Tensor",
    );
    expect(() => double([3 as never], null)).toThrow("double: input 0: expected a Tensor, got 3");
  });
});

it("a network that calls one is traced by the operations in it, and not if its values are read", () => {
  const clipped = defineFunction({
    name: "clipped",
    forward: (_, x: Tensor) => x.clamp(-1, 1),
    backward: (_, grad) => grad,
  });
  const scaled = defineFunction({
    name: "scaled",
    forward: (_, x: Tensor) => x.div(Math.max(...x.data)),
    backward: (_, grad) => grad,
  });
  const networkOf = (f: (x: Tensor) => Tensor) =>
    new (class extends Module {
      override forward(x: Tensor) {
        return f(x.mul(2)).add(1);
      }
    })();
  const x = tensor([[0.25, -3, 4]]);
  const frozen = FrozenModel.from(networkOf(clipped), [3], { training: false });
  const generator = new Generator(0);
  frozen.enqueue(x, generator);
  expect(frozen.take(x, generator).output.toArray()).toEqual([[1.5, 0, 2]]);
  expect(() => FrozenModel.from(networkOf(scaled), [3], { training: false })).toThrow(
    "a tensor changes with the batch",
  );
});

const forward = () => tensor([1]);

it.each([
  [() => defineOp({} as never), "defineOp: name: expected a name, got undefined"],
  [
    () => defineOp({ name: "f", forward, backward: async () => {} } as never),
    "defineOp: f: backward: expected a function that is not async, got a function",
  ],
  [() => defineOp({ name: "f" } as never), "defineOp: f: forward: expected a function, got undefined"],
  [() => defineOp({ name: "f", forward, backward: 3 } as never), "defineOp: f: backward: expected a function, got 3"],
  [() => defineFunction({ name: "", forward } as never), 'defineFunction: name: expected a name, got ""'],
  [
    () => defineFunction({ name: "f", forward } as never),
    "defineFunction: f: backward: expected a function, got undefined",
  ],
])("refuses a definition that lacks something: %#", (define, message) => {
  expect(define).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT", message }));
});

it("layers take rows of any rank", () => {
  const layer = new Sequential(new Linear(3, 2));
  const x = randn([4, 2, 3]);
  const { shape, data } = layer.forward(x);
  expect(shape).toEqual([4, 2, 2]);
  expect(data).toEqual(layer.forward(x.reshape([8, 3])).data);
});
