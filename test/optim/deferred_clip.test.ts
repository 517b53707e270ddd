import { expect, test } from "vitest";
import {
  AdamW,
  clipGradNorm,
  F,
  Generator,
  Optimizer,
  Parameter,
  type ParamGroup,
  randn,
  type Tensor,
  tensor,
  withGenerator,
} from "../../src/index.js";

/** Two steps, the gradients clipped; `look` may read them in between. */
function run(look: (parameters: Parameter[]) => void): Float32Array[] {
  return withGenerator(new Generator(5), () => {
    const parameters = [new Parameter(randn([7, 5]).data, [7, 5]), new Parameter(randn([19]).data, [19])];
    const optimizer = new AdamW(parameters, { lr: 0.1 });
    for (let step = 0; step < 2; step++) {
      optimizer.zeroGrad();
      for (const parameter of parameters) parameter.mul(randn(parameter.shape)).sum().backward();
      clipGradNorm(parameters, 0.37);
      look(parameters);
      optimizer.step();
    }
    return parameters.map(({ data }) => data);
  });
}

test("whether a clipped gradient is read before the step does not matter, to the bit", () => {
  const unseen = run(() => {});
  expect(run((parameters) => parameters.map(({ grad }) => grad))).toEqual(unseen);
  expect(run(([first]) => first?.grad)).toEqual(unseen);
});

test("a gradient that was handed out before is scaled at once, and one that is added to stays right", () => {
  const x = new Parameter(Float32Array.of(3, 4), [2]);
  x.mul(x).sum().backward();
  const grad = x.grad;
  clipGradNorm([x], 5);
  expect(grad?.toArray()).toEqual([3, 4].map((value) => expect.closeTo(value, 5)));
  clipGradNorm([x], 2.5);
  x.sum().backward();
  expect(x.grad?.toArray()).toEqual([2.5, 3].map((value) => expect.closeTo(value, 5)));
  expect(clipGradNorm([x], 1)).toBeCloseTo(Math.hypot(2.5, 3), 5);
});

test("an optimizer of one's own gets the clipped gradient of a sparse table's rows", () => {
  const seen: unknown[] = [];
  class Watching extends Optimizer {
    protected override update(_: ParamGroup, [{ grad }]: readonly Tensor[]) {
      seen.push(grad?.toArray());
    }
  }
  const table = new Parameter(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]);
  F.embedding(tensor([2, 0]), table, { sparse: true })
    .mul(4)
    .sum()
    .backward();
  clipGradNorm([table], 4);
  new Watching([table], { lr: 1, weightDecay: 0 }).step();
  const clipped = expect.closeTo(2, 5) as unknown;
  expect(seen).toEqual([
    [
      [clipped, clipped],
      [clipped, clipped],
    ],
  ]);
});

test("what is clipped while a parameter has no gradient does not scale its next one", () => {
  const [x, table] = [new Parameter(Float32Array.of(30, 40)), new Parameter(Float32Array.of(1, 2), [2, 1])];
  x.mul(x).sum().backward();
  clipGradNorm([x, table], 1);
  F.embedding(tensor([1]), table, { sparse: true })
    .sum()
    .backward();
  expect(table.grad?.toArray()).toEqual([[0], [1]]);
});
