import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  createLoss,
  evaluate,
  Module,
  type MultiLabelEvaluation,
  type RegressionEvaluation,
  type Tensor,
  TensorDataset,
  tensor,
  type VectorEvaluation,
} from "../../src/index.js";
import { expectClose } from "../parity/close.js";

const FIXTURES = JSON.parse(readFileSync(new URL("fixtures/tasks.json", import.meta.url), "utf8"));

/** Gives some of its inputs as they are. */
class Part extends Module {
  constructor(
    private readonly from: number,
    private readonly width: number,
  ) {
    super();
  }

  override forward(x: Tensor): Tensor {
    const rows = x.toArray() as number[][];
    return tensor(rows.map((row) => row.slice(this.from, this.from + this.width)));
  }
}

/** Samples whose inputs are what student and teacher say. */
function said(predicted: number[][], teacher: number[][], truth: number[][], options: object) {
  const inputs = tensor(predicted.map((row, i) => [...row, ...(teacher[i] as number[])]));
  return new TensorDataset(inputs, tensor(truth), options);
}

/** Every number of `wanted` is in `got`, to the digits of single precision. */
function expectNumbers(got: object, wanted: Record<string, unknown>, names: readonly string[]): void {
  for (const name of names) {
    const [value, number] = [(got as Record<string, number>)[name], wanted[name] as number];
    expect(Math.abs(value - number) / Math.max(1, Math.abs(number)), name).toBeLessThan(2e-6);
  }
}

describe("a regression as scikit-learn judges it", () => {
  const { truth, predicted, teacher, perTarget, ...wanted } = FIXTURES.regression;
  const names = ["r2", "rmse", "mae", "teacherR2", "agreement"];
  const judged = (data: TensorDataset) =>
    evaluate<RegressionEvaluation>(new Part(0, 3), data, { teacher: new Part(3, 3), batchSize: 7 });

  test("several targets of different sizes, as they are", () => {
    const evaluation = judged(said(predicted, teacher, truth, { task: "regression" }));
    expectNumbers(evaluation, wanted, names);
    for (const [i, target] of evaluation.perTarget.entries())
      expectNumbers(target, perTarget[i], ["r2", "rmse", "mae"]);
    expect(evaluation.samples).toBe(40);
  });

  test("standardised ones, in the unit of their columns", () => {
    const targetScale = { mean: [0.5, 1000, 5], std: [2, 50, 0.01] };
    const scaled = (rows: number[][]) =>
      rows.map((row) => row.map((x, c) => (x - targetScale.mean[c]) / targetScale.std[c]));
    const data = said(scaled(predicted), scaled(teacher), scaled(truth), { task: "regression", targetScale });
    expectNumbers(judged(data), wanted, names);
  });

  test("a target that is always the same: 0, and 1 without any error", () => {
    const of = (error: number) => {
      const inputs = tensor(Array.from({ length: 12 }, () => [3.5 + error]));
      return evaluate<RegressionEvaluation>(new Part(0, 1), new TensorDataset(inputs, tensor(new Array(12).fill(3.5))))
        .r2;
    };
    expect([of(1), of(0)]).toEqual([FIXTURES.constant.r2, FIXTURES.constant.exact]);
  });
});

describe("several labels as scikit-learn judges them", () => {
  const { truth, scores, teacher, perTarget, ...wanted } = FIXTURES.labels;

  test("with scores that are equal, and a label that no sample has", () => {
    const data = said(scores, teacher, truth, { task: "multi-label", classNames: ["a", "b", "c", "d"] });
    const options = { teacher: new Part(4, 4), batchSize: 16 };
    const evaluation = evaluate<MultiLabelEvaluation>(new Part(0, 4), data, options);
    expectNumbers(evaluation, wanted, ["averagePrecision", "f1", "teacherAveragePrecision", "agreement", "loss"]);
    for (const [i, label] of evaluation.perTarget.entries())
      expectNumbers(label, perTarget[i], ["averagePrecision", "f1"]);
    expect(evaluation.perTarget[3]).toMatchObject({ averagePrecision: 0, support: 0 });
  });
});

describe("vectors as scikit-learn and SciPy judge them", () => {
  const { truth, given, retrieval, spearman } = FIXTURES.vectors;

  test("of other dimensions", () => {
    const data = new TensorDataset(tensor(given), tensor(truth), { task: "vectors" });
    const evaluation = evaluate<VectorEvaluation>(new Part(0, 5), data);
    expect(evaluation.retrieval).toBeCloseTo(retrieval, 12);
    expect(evaluation.spearman).toBeCloseTo(spearman, 6);
    expect(evaluation.cosine).toBeUndefined();
    expect(evaluation.loss).toBeCloseTo(1 - spearman, 6);
  });

  test("the same ones agree wholly", () => {
    const data = new TensorDataset(tensor(truth), tensor(truth), { task: "vectors" });
    const { retrieval: same, spearman: order, cosine } = evaluate<VectorEvaluation>(new Part(0, 12), data);
    expect([same, order]).toEqual([1, 1]);
    expect(cosine).toBeCloseTo(1, 12);
  });
});

test("retrieval of few samples tells networks apart", () => {
  // Two of the four others are compared.
  const points = [0, 0.1, 0.3, 1.5, 1.7].map((angle) => [Math.cos(angle), Math.sin(angle)]);
  const moved = [points[3], points[1], points[2], points[0], points[4]] as number[][];
  const of = (given: number[][]) => {
    const data = new TensorDataset(tensor(given), tensor(points), { task: "vectors" });
    return evaluate<VectorEvaluation>(new Part(0, 2), data).retrieval;
  };
  expect(of(points)).toBe(1);
  // Each row has one of its two in common.
  expect(of(moved)).toBe(0.5);
});

test("of equally near samples retrieval takes the first ones", () => {
  const truth = [[1, 0], [1, 0], [1, 0], [1, 0], [1, 0], [0, 1]]; // biome-ignore format: rows
  const given = [0, 0.4, 0.3, 0.2, 0.1, 0.9].map((angle) => [Math.cos(angle), Math.sin(angle)]);
  const data = new TensorDataset(tensor(given), tensor(truth), { task: "vectors" });
  // By truth 12, 02, 01, 01, 01, 01; by the network 43, 23, 13, 24, 03, 12.
  expect(evaluate<VectorEvaluation>(new Part(0, 2), data).retrieval).toBe(4 / 12);
});

test("targets that were changed since the last evaluation are compared as they are", () => {
  const angles = (list: number[]) => tensor(list.map((angle) => [Math.cos(angle), Math.sin(angle)]));
  const [given, targets] = [angles([0, 0.1, 0.3, 1.5, 1.7]), angles([1.5, 0.1, 0.3, 0, 1.7])];
  const data = new TensorDataset(given, targets, { task: "vectors" });
  const of = () => evaluate<VectorEvaluation>(new Part(0, 2), data);
  const before = of();
  expect(of()).toEqual(before);
  expect(before.retrieval).toBe(0.5);
  targets.data.set(given.data);
  expect(of()).toMatchObject({ retrieval: 1, spearman: 1 });
});

describe("losses with targets have PyTorch's values and gradients", () => {
  const { outputs, targets, hot, ...wanted } = FIXTURES.losses;

  test.each(Object.entries(wanted as Record<string, { value: number; gradient: number[][] }>))(
    "%s",
    (name, { value, gradient }) => {
      const task = name === "bce" ? "multi-label" : name.includes("cosine") ? "vectors" : "regression";
      const context = { classes: 3, task, labelSmoothing: 0, samples: 6, tapShape: () => [3] } as never;
      const logits = tensor(outputs);
      logits.requiresGrad = true;
      const given = { logits: tensor(targets), taps: {} };
      const batch = {
        labels: null,
        targets: tensor(name === "bce" ? hot : targets),
        indices: new Int32Array(6),
        epoch: 1,
        epochs: 1,
        step: 0,
        steps: 1,
      };
      const { loss } = createLoss(name, context).compute({ student: { logits, taps: {} }, teacher: given, ...batch });
      expectClose([loss.item()], [value], { rel: 1e-6 }, "value");
      loss.backward();
      expectClose((logits.grad as Tensor).data, gradient.flat(), { ofLargest: 3e-6 }, "gradient");
    },
  );
});
