import { describe, expect, test } from "vitest";
import {
  BatchNorm1d,
  Dropout,
  denseBlock,
  Generator,
  Linear,
  randn,
  type Tensor,
  withGenerator,
} from "../../src/index.js";

const [INPUTS, FEATURES] = [13, 37];

function layers(p: number, bias = true) {
  return {
    linear: new Linear(INPUTS, FEATURES, { bias }),
    norm: new BatchNorm1d(FEATURES),
    dropout: new Dropout(p),
  };
}

/** Runs a block twice and its backward pass once; gives everything that changes, and the stream's place. */
function run(make: () => ReturnType<typeof layers>, forward: (x: Tensor, own: ReturnType<typeof layers>) => Tensor) {
  const generator = new Generator(11);
  return withGenerator(generator, () => {
    const own = make();
    own.norm.weight.data.set(randn([FEATURES]).data);
    own.norm.bias.data.set(randn([FEATURES]).data);
    const x = randn([20, INPUTS]);
    x.requiresGrad = true;
    const first = forward(x, own).data.slice();
    const out = forward(x, own);
    out
      .mul(randn([20, FEATURES]))
      .sum()
      .backward();
    const { linear, norm } = own;
    const parameters = [linear.weight, ...(linear.bias ? [linear.bias] : []), norm.weight, norm.bias];
    return {
      values: [first, out.data.slice(), norm.runningMean.data, norm.runningVar.data],
      grads: [x, ...parameters].map((tensor) => tensor.grad?.data ?? null),
      count: norm.numBatchesTracked,
      stream: [...generator.state],
    };
  });
}

const apart = (x: Tensor, { linear, norm, dropout }: ReturnType<typeof layers>) =>
  dropout.forward(norm.forward(linear.forward(x)).relu());

describe("a dense block is its four layers, to the bit", () => {
  test.each([
    ["train", () => layers(0.3)],
    ["no bias", () => layers(0.3, false)],
    ["nothing dropped", () => layers(0)],
    ["all dropped", () => layers(1)],
    [
      "eval",
      () => {
        const own = layers(0.5);
        own.norm.eval();
        own.dropout.eval();
        return own;
      },
    ],
    [
      "dropout alone in train mode",
      () => {
        const own = layers(0.5);
        own.norm.eval();
        return own;
      },
    ],
    [
      "partly frozen",
      () => {
        const own = layers(0.3);
        own.linear.freeze();
        own.norm.weight.requiresGrad = false;
        return own;
      },
    ],
  ])("%s", (_, make) => {
    expect(run(make, denseBlock)).toEqual(run(make, apart));
  });
});

test("what does not fit is refused", () => {
  const own = layers(0.3);
  expect(() => denseBlock(randn([4, INPUTS + 1]), own)).toThrow("denseBlock: x: expected shape [*, 13], got [4, 14]");
  expect(() => denseBlock(randn([1, INPUTS]), own)).toThrow("more than 1 value per channel");
  expect(() => denseBlock(randn([4, INPUTS]), { ...own, norm: new BatchNorm1d(5) })).toThrow("denseBlock: norm");
});
