import { describe, expect, test, vi } from "vitest";
import {
  AdamW,
  BatchNorm1d,
  crossEntropy,
  defineOp,
  Generator,
  IntTensor,
  Linear,
  manualSeed,
  randn,
  step,
  type Tensor,
  tensor,
  withGenerator,
} from "../../src/index.js";
import { cachedBytes } from "../../src/tensor/buffer_pool.js";

const x = withGenerator(new Generator(1), () => randn([6, 4]));
const labels = new IntTensor(Int32Array.of(0, 1, 2, 0, 1, 2));

function train(inStep: (body: () => number) => number): { losses: number[]; weights: Float32Array } {
  manualSeed(2);
  const layers = [new Linear(4, 5), new Linear(5, 3)];
  const optimizer = new AdamW(
    layers.flatMap((layer) => layer.parameters()),
    { lr: 0.05 },
  );
  const losses = Array.from({ length: 8 }, () =>
    inStep(() => {
      const loss = crossEntropy(layers[1].forward(layers[0].forward(x).relu()), labels);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      return loss.item();
    }),
  );
  return { losses, weights: layers[0].weight.data };
}

describe("a step", () => {
  test("has the bits of its body", () => {
    expect(train(step)).toEqual(train((body) => body()));
  });

  test("uses the arrays of the one before", () => {
    const run = () => step(() => x.mul(2).add(1).sum().item());
    run();
    const bytes = cachedBytes();
    for (let i = 0; i < 5; i++) run();
    expect(cachedBytes()).toBe(bytes);
  });

  test("copies out the tensors that it returns, alone and in arrays and objects", () => {
    const results = [1, 2].map((factor) =>
      step(() => ({ all: [x.mul(factor)], first: x.slice(0, 1).mul(factor), loss: factor, x })),
    );
    for (const [i, { all, first, loss }] of results.entries()) {
      expect(all[0].data).toEqual(x.data.map((value) => Math.fround(value * (i + 1))));
      expect(first.shape).toEqual([1, 4]);
      expect(loss).toBe(i + 1);
    }
    expect(step(() => x.mul(3)).requiresGrad).toBe(false);
  });

  test("computes what a chain put off before it ends", () => {
    const layer = withGenerator(new Generator(3), () => new Linear(4, 3));
    const forward = () => layer.forward(x).relu();
    const expected = forward().data.slice();
    for (let i = 0; i < 3; i++) expect(step(forward).data).toEqual(expected);
  });

  test("leaves gradients behind, also one that is assigned", () => {
    const w = tensor([1, 2], { requiresGrad: true });
    const v = tensor([1, 2], { requiresGrad: true });
    step(() => {
      w.mul(w).sum().backward();
      v.grad = w.mul(3).detach();
    });
    step(() => x.slice(0, 1).slice(0, 1).mul(100));
    step(() => tensor([5, 5]).mul(7));
    expect([w.grad?.toArray(), v.grad?.toArray()]).toEqual([
      [2, 4],
      [3, 6],
    ]);
  });
});

describe("a tensor of a step that ended", () => {
  const ended = "data: the tensor belongs to a step or a batch that ended";
  test.each([
    ["a result", () => x.mul(2)],
    ["a view of one", () => x.mul(2).reshape([4, 6])],
    ["a deferred one", () => new Linear(4, 3).forward(x)],
  ])("can't be read: %s", (_, make) => {
    let escaped: Tensor | null = null;
    step(() => {
      escaped = make();
    });
    expect(() => (escaped as unknown as Tensor).data).toThrow(ended);
    expect(() => (escaped as unknown as Tensor).add(1)).toThrow(ended);
  });

  test("by an error of its body, too", () => {
    let escaped: Tensor | null = null;
    const fail = () => {
      escaped = x.mul(2);
      throw new RangeError("of the body");
    };
    expect(() => step(fail)).toThrow(RangeError);
    expect(() => (escaped as unknown as Tensor).data).toThrow(ended);
  });

  test("is not read by what a body that failed put off", () => {
    const layer = withGenerator(new Generator(3), () => new Linear(4, 3));
    const norm = new BatchNorm1d(3);
    for (let i = 0; i < 3; i++) step(() => norm.forward(layer.forward(x.mul(2))).relu());
    const fail = () => {
      layer.forward(x.mul(2));
      throw new RangeError("of the body");
    };
    expect(() => step(fail)).toThrow(RangeError);
    expect(tensor([1, 2]).toArray()).toEqual([1, 2]);
  });

  test.each<[string, (loss: Tensor) => unknown]>([
    ["kept outside", () => null],
    ["in a Map", (loss) => new Map([["loss", loss]])],
  ])("has no backward pass: %s", (_, give) => {
    const layer = new Linear(4, 3);
    let loss: Tensor | null = null;
    step(() => {
      loss = crossEntropy(layer.forward(x), labels);
      return give(loss);
    });
    const text = "backward(): the tensor belongs to a step or a batch that ended: call it inside of the step";
    expect(() => (loss as unknown as Tensor).backward()).toThrow(text);
    expect(layer.weight.grad).toBe(null);
  });

  test("what an operation computed in memory of its own ends with its inputs", () => {
    const triple = defineOp({
      name: "triple",
      forward: ([a]) => ({ data: a.data.map((v) => 3 * v), shape: a.shape, saved: null }),
      backward: (grad, [into]) => void into?.set(grad.map((v) => 3 * v)),
    });
    const w = tensor([2], { requiresGrad: true });
    let loss: Tensor | null = null;
    step(() => {
      loss = triple([w.mul(5)], {}).sum();
    });
    expect(() => (loss as unknown as Tensor).backward()).toThrow("that ended");
    let alone: Tensor | null = null;
    step(() => {
      alone = triple([w.mul(5)], {});
    });
    expect(() => (alone as unknown as Tensor).backward()).toThrow("that ended");
  });

  test("but its copy says what it is", () => {
    const copy = step(() => crossEntropy(new Linear(4, 3).forward(x), labels));
    expect(() => copy.backward()).toThrow("of what step() gives, a copy, call it inside of the step");
  });

  test("but one whose memory is its own can", () => {
    let own: Tensor | null = null;
    step(() => {
      own = tensor([1, 2, 3]);
    });
    expect((own as unknown as Tensor).toArray()).toEqual([1, 2, 3]);
  });
});

test("what is no function of a step is refused", () => {
  expect(() => step(7 as never)).toThrow("body: expected a function, got 7");
  expect(() => step(async () => 1)).toThrow("body: expected a function that is not async");
  expect(() => step(() => Promise.reject(new Error("nobody waits for it")))).toThrow("await outside of step");
  vi.restoreAllMocks();
});
