import { describe, expect, test } from "vitest";
import type { TaskName } from "../../src/data/task_name.js";
import {
  BatchNorm1d,
  Dropout,
  evaluate,
  Linear,
  logitsOf,
  Module,
  manualSeed,
  type Preprocessing,
  predict,
  preprocessingOf,
  randn,
  Sequential,
  type TaskPrediction,
  TeacherCache,
  type Tensor,
  TensorDataset,
  tensor,
  type ValuePrediction,
} from "../../src/index.js";
import { batchesOfPredictions } from "../../src/train/inference.js";
import { refusal } from "../data/support.js";

/** Logits are the inputs. */
class Same extends Module {
  override forward(x: Tensor): Tensor {
    return x;
  }
}

describe("predict", () => {
  test("softmax, the most probable class and its name", () => {
    const inputs = tensor([
      [0, Math.log(3)],
      [Math.log(4), 0],
    ]);
    const predictions = predict(new Same(), inputs, { classNames: ["no", "yes"] });
    expect(predictions.map(({ class: top, className }) => [top, className])).toEqual([
      [1, "yes"],
      [0, "no"],
    ]);
    for (const [i, expected] of [
      [0.25, 0.75],
      [0.8, 0.2],
    ].entries()) {
      const { probability, probabilities } = predictions[i] as (typeof predictions)[number];
      for (const [j, p] of expected.entries()) expect(probabilities[j]).toBeCloseTo(p, 7);
      expect(probability).toBe(Math.max(...probabilities));
    }
  });

  test("without names their numbers; logits of any size", () => {
    const [one] = predict(new Same(), tensor([[1e30, 0, -1e30]]));
    expect(one).toEqual({ class: 0, className: "0", probability: 1, probabilities: [1, 0, 0] });
  });

  test("one output is no class unless a description says so", async () => {
    const inputs = tensor([[-3], [5]]);
    expect(await refusal("BAD_ARGUMENT", () => predict(new Same(), inputs))).toBe(
      "preprocessing: needed for one output, which is no class, as preprocessingOf(data)",
    );
    const data = new TensorDataset(inputs, tensor([[1], [2]]));
    const values = predict<ValuePrediction>(new Same(), inputs, { preprocessing: preprocessingOf(data) });
    expect(values).toEqual([{ values: [-3] }, { values: [5] }]);
  });

  test("a batch is not computed before the one ahead of it was taken", () => {
    const rows: number[] = [];
    class Counting extends Same {
      override forward(x: Tensor): Tensor {
        rows.push(x.shape[0]);
        return x;
      }
    }
    const inputs = randn([2500, 2]);
    const batches = batchesOfPredictions(new Counting(), inputs, {});
    const first = batches.next();
    expect(rows).toEqual([1000]);
    const all = [...(first.value ?? []), ...[...batches].flat()];
    expect(rows).toEqual([1000, 1000, 500]);
    expect(all).toEqual(predict(new Same(), inputs));
  });

  test("of equal ones the first", () => {
    const [one] = predict(new Same(), tensor([[1, 2, 2]]));
    expect(one?.class).toBe(1);
  });

  test("in eval mode, row by row the same as alone; modes and stream stay", () => {
    manualSeed(0);
    const network = new Sequential(new Linear(3, 8), new BatchNorm1d(8), new Dropout(0.5), new Linear(8, 4));
    const inputs = randn([1203, 3]);
    const all = predict(network, inputs);
    expect(all).toHaveLength(1203);
    for (const i of [0, 999, 1000, 1202]) expect(predict(network, inputs.slice(i, i + 1))).toEqual([all[i]]);
    expect(network.training).toBe(true);
    for (const { probabilities } of all) expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
  });

  test("what does not fit", async () => {
    const network = new Linear(3, 2);
    expect(await refusal("SHAPE_MISMATCH", () => predict(network, tensor([[1, 2]])))).toContain("[1, 2]");
    expect(await refusal("SHAPE_MISMATCH", () => predict(network, tensor([1, 2, 3])))).toBe(
      "inputs: expected shape [*, *], got [3]",
    );
    const classNames = ["a", "b", "c"];
    expect(await refusal("SHAPE_MISMATCH", () => predict(network, tensor([[1, 2, 3]]), { classNames }))).toBe(
      "classNames: expected 2 names, got 3",
    );
    await refusal("BAD_DTYPE", () => predict(network, [[1, 2, 3]] as unknown as Tensor));
    expect(
      await refusal("NON_FINITE", () =>
        predict(
          new Same(),
          tensor([
            [1, 2],
            [Number.POSITIVE_INFINITY, 0],
          ]),
        ),
      ),
    ).toBe("inputs[1]: the network's outputs are not finite");
  });

  test("outputs of -Infinity: a class that is never predicted, no number", async () => {
    const never = Number.NEGATIVE_INFINITY;
    const spec = (task: TaskName): Preprocessing => ({
      kind: "values",
      features: 2,
      task,
      classes: 2,
      classNames: null,
    });
    const of = (task: TaskName, ...row: number[]) =>
      predict<TaskPrediction>(new Same(), tensor([row]), { preprocessing: spec(task) });
    expect(of("classification", 1, never)).toEqual([
      { class: 0, className: "0", probability: 1, probabilities: [1, 0] },
    ]);
    expect(of("multi-label", never, 1)).toMatchObject([
      { labels: ["1"], probabilities: [0, expect.closeTo(0.731, 3)] },
    ]);
    for (const [task, ...row] of [
      ["regression", 1, never],
      ["vectors", 1, never],
      ["classification", never, never],
      ["multi-label", 1, -never],
    ] as const) {
      expect(await refusal("NON_FINITE", () => of(task, ...row))).toBe(
        "inputs[0]: the network's outputs are not finite",
      );
    }
  });
});

test("what forward() keeps of a batch can't be read after it, instead of being overwritten by the next one", async () => {
  class Keeping extends Module {
    readonly fc = new Linear(3, 2);
    kept: Tensor[] = [];
    override forward(x: Tensor): Tensor {
      this.kept.push(x.mul(2));
      return this.fc.forward(x);
    }
  }
  const network = new Keeping();
  const data = new TensorDataset(randn([4, 3]), Int32Array.of(0, 1, 0, 1));
  for (const read of [
    () => predict(network, randn([2, 3])),
    () => logitsOf(network, data),
    () => evaluate(network, data),
    () => TeacherCache.compute(network, data),
  ]) {
    network.kept = [];
    await read();
    expect(() => network.kept.at(-1)?.data).toThrow("belongs to a step or a batch that ended");
  }
});
