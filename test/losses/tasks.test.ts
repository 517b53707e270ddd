import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  compare,
  cosineDistillationLoss,
  crossEntropyDistillationLoss,
  type DistillationLoss,
  distDistillationLoss,
  distill,
  dkdDistillationLoss,
  IntTensor,
  jsdDistillationLoss,
  kdDistillationLoss,
  type LossSpec,
  logitMseDistillationLoss,
  logitStandardizedKdDistillationLoss,
  Mlp,
  manualSeed,
  mseDistillationLoss,
  mutual,
  randn,
  sweep,
  TensorDataset,
  topKKdDistillationLoss,
  trainTeacher,
  vectorKdDistillationLoss,
  weightedSum,
} from "../../src/index.js";
import { calibrated } from "../../src/train/calibrate_teacher.js";
import { failure, temporaryFolder } from "../support.js";

const folder = temporaryFolder();
const network = (classes = 1) => new Mlp({ inFeatures: 3, hidden: [4], classes });
const OPTIONS = { epochs: 2, batchSize: 8, lr: 0.02, schedule: "constant" } as const;

/** A sum of values as the target of a sample: one output, whose softmax is always 1. */
function regression(samples = 24) {
  manualSeed(0);
  const inputs = randn([samples, 3]);
  return new TensorDataset(inputs, inputs.sum(1, true), { task: "regression" });
}

function classes() {
  const inputs = randn([24, 3]);
  return new TensorDataset(inputs, new IntTensor(Int32Array.from({ length: 24 }, (_, i) => i % 2)));
}

const distilled = (loss: LossSpec) =>
  distill({ teacher: network(), student: network(), data: regression(), loss, ...OPTIONS });
const messageOf = async (run: PromiseLike<unknown>) => (await failure(Promise.resolve(run), "BAD_ARGUMENT")).message;
const IS_REFUSED =
  /^loss(es\[1\])?: .+ is for classification.*, and the data are for regression: .* mse, mae, huber, or /;

const own = (tasks?: DistillationLoss["tasks"]): DistillationLoss => {
  const { name: _, ...rest } = logitMseDistillationLoss();
  return { name: "own", ...rest, ...(tasks && { tasks }) };
};

describe("a regression of one target", () => {
  test.each<[string, LossSpec]>([
    ["kd", kdDistillationLoss()],
    ["kd with labels", kdDistillationLoss({ alpha: 0.5 })],
    ["dkd", dkdDistillationLoss()],
    ["dist", distDistillationLoss()],
    ["jsd", jsdDistillationLoss()],
    ["top-k-kd", topKKdDistillationLoss()],
    ["logit-standardized-kd", logitStandardizedKdDistillationLoss()],
    ["cross-entropy", crossEntropyDistillationLoss()],
    ["vector-kd", vectorKdDistillationLoss()],
    ["kd by its name", "kd"],
    ["crd, which is made of labels", "crd"],
    ["crd beside a loss that is for the data", "mse + 0.5*crd(warmup=2)"],
    ["kd in an expression, warmed up", "0.5*mse + [0.5, 0]*kd(warmup=2)"],
    ["a sum with a loss for every task", weightedSum([[1, logitMseDistillationLoss()], [1, kdDistillationLoss()]])], // biome-ignore format: one line
    ["a sum in a sum", weightedSum([[1, weightedSum([[[1, 0], kdDistillationLoss()]])]])],
    ["a calibrated loss", calibrated(kdDistillationLoss(), 2)],
    ["a loss of one's own that says so", own(["classification"])],
  ])("refuses %s", async (_, loss) => {
    expect(await messageOf(distilled(loss))).toMatch(IS_REFUSED);
  });

  test("refuses a module that makes such a loss", async () => {
    const file = join(folder, "own.mjs");
    const loss = '{ name: "own", needsTeacher: true, tasks: ["classification"], config: () => null, compute() {} }';
    writeFileSync(file, `export default () => (${loss});\n`);
    expect(await messageOf(distilled(file))).toMatch(IS_REFUSED);
    expect(await messageOf(distilled(`mse + ${file}`))).toMatch(IS_REFUSED);
  });

  test("takes a loss of its own, one for every task, and a function", async () => {
    const ofBatch: LossSpec = ({ student, teacher }) => student.logits.sub(teacher.logits).abs().mean();
    const sum = weightedSum([[0.5, mseDistillationLoss()], [0.5, own()]]); // biome-ignore format: one line
    for (const loss of [mseDistillationLoss(), logitMseDistillationLoss(), own(), own(["regression"]), sum, ofBatch]) {
      const { history } = await distilled(loss);
      expect(history[0].metrics.loss).toBeGreaterThan(0.001);
    }
  });

  test("refuses them as a teacher's loss, and in compare and sweep before anything is written", async () => {
    const data = regression();
    const bce = trainTeacher({ model: network(), data, loss: "bce", ...OPTIONS });
    expect(await messageOf(bce)).toContain("loss: bce is for multi-label, and the data are for regression");
    const out = join(folder, "experiment");
    const given = { teacher: () => network(), student: () => network(), data, test: regression(8), ...OPTIONS, out };
    const runs = [
      compare({ ...given, loss: kdDistillationLoss(), seeds: 1 }),
      compare({ ...given, losses: ["logit-mse", dkdDistillationLoss()], seeds: 1 }),
      sweep({ ...given, loss: "kd(alpha=0.5)", alphas: [0.2], temperatures: [2] }),
    ];
    for (const run of runs) expect(await messageOf(run)).toMatch(IS_REFUSED);
    expect(existsSync(out)).toBe(false);
  });
});

test("losses of targets are refused for classes before a step, also of students that teach each other", async () => {
  const data = classes();
  const run = distill({ teacher: network(2), student: network(2), data, loss: mseDistillationLoss(), ...OPTIONS });
  expect(await messageOf(run)).toContain(
    "loss: mse is for regression and vectors, and the data are for classification",
  );
  const students = [network(2), network(2)];
  const cohort = mutual({ students, data, loss: cosineDistillationLoss(), ...OPTIONS });
  expect(await messageOf(cohort)).toContain("loss: cosine is for vectors, and the data are for classification");
});

test("a sum is for the tasks that all its terms are for, of which there has to be one", () => {
  const sum = weightedSum([[1, vectorKdDistillationLoss()], [1, own()], [1, mseDistillationLoss()]]); // biome-ignore format: one line
  expect(sum.tasks).toEqual(["vectors"]);
  expect(weightedSum([[1, own()]]).tasks).toBeUndefined();
  expect(() =>
    weightedSum([
      [1, mseDistillationLoss()],
      [1, crossEntropyDistillationLoss()],
    ]),
  ).toThrow("terms[1]: cross-entropy is for classification, and mse for regression and vectors: no data go with both");
});

test("tasks that are none are refused", async () => {
  expect(await messageOf(distilled(own(["regresion" as never])))).toContain(
    'loss: tasks[0]: expected "classification"',
  );
  expect(await messageOf(distilled(own("regression" as never)))).toContain("whose tasks are a list");
});
