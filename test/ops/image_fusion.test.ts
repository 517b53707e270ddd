import { afterEach, describe, expect, test, vi } from "vitest";
import { BatchNorm2d, createNetwork, Generator, noGrad, randn, type Tensor, withGenerator } from "../../src/index.js";
import { native } from "../../src/native.js";
import { defineOp } from "../../src/ops/define_op.js";
import { inArena } from "./support.js";

const SHAPE = [6, 5, 3, 7];
/** Planes that are not short have kernels of their own. */
const LONG_PLANES = [6, 5, 9, 8];
const [, FEATURES] = SHAPE;

afterEach(() => vi.restoreAllMocks());

interface Layers {
  norm: BatchNorm2d;
  other: BatchNorm2d;
}
type Forward = (x: Tensor, beside: Tensor, own: Layers, after: (x: Tensor) => Tensor) => Tensor;

function read(x: Tensor): Tensor {
  x.data;
  return x;
}

const keep = (x: Tensor) => x;

/** Three forward passes (the first one is never fused), a backward pass after each; gives everything that changes. */
function run(
  forward: Forward,
  after: (x: Tensor) => Tensor,
  prepare: (own: Layers, inputs: Tensor[]) => void,
  shape = SHAPE,
) {
  return withGenerator(new Generator(11), () => {
    const own = { norm: new BatchNorm2d(FEATURES), other: new BatchNorm2d(FEATURES) };
    const layers = [own.norm, own.other];
    for (const parameter of layers.flatMap((layer) => layer.parameters())) parameter.data.set(randn([FEATURES]).data);
    const inputs = [randn(shape), randn(shape)];
    for (const input of inputs) input.requiresGrad = true;
    prepare(own, inputs);
    const [x, beside] = inputs;
    const outputs = [1, 2, 3].map(() => {
      const out = forward(x, beside, own, after);
      const loss = out.mul(randn(shape)).sum();
      if (loss.requiresGrad) loss.backward();
      return out.data.slice();
    });
    const parameters = layers.flatMap((layer) => layer.parameters());
    const buffers = layers.flatMap((layer) => [layer.runningMean.data, layer.runningVar.data]);
    return { outputs, buffers, grads: [...inputs, ...parameters].map((tensor) => tensor.grad?.data ?? null) };
  });
}

const MODES: [string, (own: Layers, inputs: Tensor[]) => void][] = [
  ["train", () => {}],
  ["eval", ({ norm, other }) => [norm, other].map((layer) => layer.eval())],
  ["a weight is frozen", ({ norm }) => (norm.weight.requiresGrad = false)],
  ["x needs no gradient", (_, [x]) => (x.requiresGrad = false)],
  ["the addend needs no gradient", (_, [, beside]) => (beside.requiresGrad = false)],
  [
    "only the addend needs a gradient",
    ({ norm }, [x]) => {
      for (const tensor of [x, ...norm.parameters()]) tensor.requiresGrad = false;
    },
  ],
];

/** With how many calls take something along: the first one of a layer does not. */
const CHAINS: [string, number, Forward][] = [
  ["BatchNorm, ReLU", 2, (x, _, { norm }, after) => after(norm.forward(x)).relu()],
  ["BatchNorm, sum, ReLU", 2, (x, beside, { norm }, after) => after(after(norm.forward(x)).add(beside)).relu()],
  ["the sum the other way round", 2, (x, beside, { norm }, after) => after(beside.add(after(norm.forward(x)))).relu()],
  [
    "the sum of two BatchNorms",
    2,
    (x, beside, { norm, other }, after) => {
      const h = after(norm.forward(x));
      return after(h.add(after(other.forward(beside)))).relu();
    },
  ],
  [
    "two after one another",
    4,
    (x, beside, { norm, other }, after) => {
      const h = after(norm.forward(x)).relu();
      return after(after(other.forward(h)).add(beside)).relu();
    },
  ],
  ["its own input as the addend", 2, (x, _, { norm }, after) => after(after(norm.forward(x)).add(x)).relu()],
  ["one layer twice", 5, (x, _, { norm }, after) => after(norm.forward(after(norm.forward(x)).relu())).relu()],
];

describe("BatchNorm, a sum and ReLU have the bits of the operations one by one", () => {
  for (const [name, fused, forward] of CHAINS) {
    test.each(MODES)(
      `${name}, %s`,
      inArena((_, prepare) => {
        const kernel = vi.spyOn(native, "batchNormForward");
        const got = run(forward, keep, prepare);
        expect(kernel.mock.calls.filter(([{ relu }]) => relu).length).toBe(fused);
        kernel.mockClear();
        expect(got).toEqual(run(forward, read, prepare));
        expect(kernel.mock.calls.some(([{ relu }]) => relu)).toBe(false);
        expect(run(forward, keep, prepare, LONG_PLANES)).toEqual(run(forward, read, prepare, LONG_PLANES));
      }),
    );
  }
});

/** Everything that a chain's outputs may be used for besides the next call. */
const USES: [string, Forward][] = [
  [
    "BatchNorm's output",
    (x, beside, { norm }, after) => {
      const h = after(norm.forward(x));
      return after(h.add(beside)).relu().add(h.mul(0.5));
    },
  ],
  [
    "the sum",
    (x, beside, { norm }, after) => {
      const h = after(after(norm.forward(x)).add(beside));
      return h.relu().add(h.mul(0.5));
    },
  ],
  [
    "both, the last one first",
    (x, beside, { norm }, after) => {
      const a = after(norm.forward(x));
      const b = after(a.add(beside));
      return b.relu().add(b.mul(0.1)).add(a.mul(0.2));
    },
  ],
  ["without ReLU", (x, beside, { norm }, after) => after(norm.forward(x)).add(beside).mul(2)],
  ["with itself", (x, _, { norm }, after) => after(after(norm.forward(x)).add(after(norm.forward(x)))).relu()],
  ["a sum that is broadcast", (x, _, { norm }, after) => after(after(norm.forward(x)).add(x.mean([0, 1, 2]))).relu()],
  [
    "ReLU now and then",
    (() => {
      const calls = new Map<Layers, number>();
      return (x: Tensor, _: Tensor, own: Layers, after: (x: Tensor) => Tensor) => {
        const h = after(own.norm.forward(x));
        calls.set(own, (calls.get(own) ?? 0) + 1);
        return calls.get(own) === 2 ? h.mul(1) : h.relu();
      };
    })(),
  ],
];

/** A call that reads nothing, so that it runs nothing that was put off; its gradient is `factor` times what came. */
const silent = defineOp<number, null>({
  name: "silent",
  forward: ([x]) => ({ data: new Float32Array(x.size), shape: x.shape, saved: null }),
  backward: (grad, [into], { attributes: factor }) => into?.set(grad.map((value) => factor * value)),
});

test.each(MODES)(
  "gradients of calls between BatchNorm and the sum are added in the order of the calls, %s",
  inArena((_, prepare) => {
    const forward: Forward = (x, beside, { norm }, after) => {
      const h = after(norm.forward(x));
      const others = [silent([x], 1 / 3), silent([x], 1e4 / 7)];
      const out = after(h.add(beside)).relu();
      return others.reduce((sum, other) => sum.add(other), out);
    };
    const kernel = vi.spyOn(native, "batchNormForward");
    const got = run(forward, keep, prepare);
    expect(kernel.mock.calls.filter(([{ relu }]) => relu).length).toBe(2);
    expect(got).toEqual(run(forward, read, prepare));
  }),
);

describe("an output inside of a chain may be used, with the same bits and gradients", () => {
  test.each(USES)(
    "%s",
    inArena((_, forward) => {
      for (const [, prepare] of MODES) {
        expect(run(forward, keep, prepare)).toEqual(run(forward, read, prepare));
      }
    }),
  );

  test(
    "after the backward pass and after the weights changed",
    inArena(() => {
      const [norm, x, beside] = withGenerator(new Generator(1), () => [
        new BatchNorm2d(FEATURES),
        randn(SHAPE),
        randn(SHAPE),
      ]);
      norm.forward(x).add(beside).relu();
      const expected = read(norm.forward(x)).data.slice();
      norm.forward(x).relu();
      const normalized = norm.forward(x);
      const sum = normalized.add(beside);
      sum.relu().sum().backward();
      for (const parameter of norm.parameters()) parameter.data.fill(0.5);
      expect(normalized.data).toEqual(expected);
      expect(sum.data).toEqual(expected.map((value, i) => value + beside.data[i]));
      expect(() => sum.sum().backward()).toThrow("a second time through the same graph");
    }),
  );

  test(
    "the running statistics, before they are read",
    inArena(() => {
      const [norm, x] = withGenerator(new Generator(1), () => [new BatchNorm2d(FEATURES), randn(SHAPE)]);
      norm.forward(x).relu();
      const before = norm.runningMean.data.slice();
      norm.forward(x);
      expect(norm.runningMean.data).not.toEqual(before);
    }),
  );
});

test(
  "each ReLU and residual sum of a network is taken along, with and without gradients",
  inArena(() => {
    const [network, x] = withGenerator(new Generator(1), () => [
      createNetwork("resnet8", { shape: [3, 8, 8], classes: 4 }),
      randn([2, 3, 8, 8]),
    ]);
    network.forward(x);
    const [norm, relu, add] = [
      vi.spyOn(native, "batchNormForward"),
      vi.spyOn(native, "reluForward"),
      vi.spyOn(native, "binaryForward"),
    ];
    for (const forward of [() => network.forward(x), () => noGrad(() => network.forward(x))]) {
      forward().data;
      // The shortcut's BatchNorm takes the sum along, that beside it does not.
      expect(norm.mock.calls.map(([{ relu, addend }]) => `${relu} ${addend !== null}`)).toEqual([
        "true false",
        "true false",
        "true true",
        "true false",
        "false false",
        "true true",
        "true false",
        "false false",
        "true true",
      ]);
      expect([relu, add].map((spy) => spy.mock.calls.length)).toEqual([0, 0]);
      norm.mockClear();
    }
  }),
);

test("outside of an arena BatchNorm is computed at once, for the caller may fill the array of its inputs", () => {
  const [norm, x] = withGenerator(new Generator(1), () => [new BatchNorm2d(FEATURES).eval(), randn(SHAPE)]);
  const expected = norm.forward(x).data;
  norm.forward(x).relu();
  const array = x.data;
  const features = norm.forward(x);
  array.fill(100);
  expect(features.data).toEqual(expected);
});
