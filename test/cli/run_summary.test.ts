import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { countTestEvaluation } from "../../src/checkpoint/index.js";
import { RunPrinter } from "../../src/cli/printer.js";
import { summarizeRun } from "../../src/cli/run_summary.js";
import type { Source } from "../../src/cli/source.js";
import {
  Generator,
  Linear,
  type Module,
  manualSeed,
  type Tensor,
  TensorDataset,
  tensor,
  trainTeacher,
  withGenerator,
} from "../../src/index.js";
import { cloneState } from "../../src/train/trainer_state.js";
import { temporaryFolder } from "../support.js";
import { newFolder } from "./support.js";

const SAMPLES = 30;
const temporary = temporaryFolder();

/** The numbers of passes over whole data sets that a network makes from now on; timings take one sample at a time. */
function countPasses(network: Module): { passes: number } {
  const counter = { passes: 0 };
  const forward = network.forward.bind(network);
  network.forward = (inputs: Tensor) => {
    if (inputs.shape[0] === SAMPLES) counter.passes += 1;
    return forward(inputs);
  };
  return counter;
}

test.each([
  ["other weights than the last", 2, 1],
  ["the last weights", 1, 0],
])(
  "the summary and the report of a run whose best epoch has %s make %i passes with the student, 1 with the teacher",
  async (_, expected, change) => {
    manualSeed(3);
    const [teacher, student] = [new Linear(4, 3), new Linear(4, 3)];
    const labels = Int32Array.from({ length: SAMPLES }, (_, i) => i % 3);
    const inputs = tensor(
      Float32Array.from({ length: 4 * SAMPLES }, (_, i) => Math.sin(i)),
      { shape: [SAMPLES, 4] },
    );
    const data = new TensorDataset(inputs, labels, { classes: 3 });
    const state = cloneState(student.stateDict());
    (state.bias as Tensor).data[0] += change;
    const history = [1, 2].map((epoch) => {
      return { epoch, epochs: 2, lr: 0.1, seconds: 1, samplesPerSecond: 1, metrics: { loss: 1 / epoch } };
    });
    const best = { epoch: 1, validationAccuracy: 0.5, validationLoss: 1, state };
    const out = newFolder(temporary);
    writeFileSync(join(out, "config.json"), "{}");
    const counters = [student, teacher].map(countPasses);
    await summarizeRun(
      new RunPrinter({ quiet: true }, { lossName: "Loss", epochs: 2, details: false, opening: () => [] }),
      {
        role: "student" as const,
        network: student,
        teacher,
        out,
        report: true,
        expectGoing: async () => {},
        result: { history, files: ["a.pth", "a.safetensors", "b.pth"], best, stoppedEarly: false, steps: [] },
        source: { test: data, validation: data } as unknown as Source,
      },
    );
    expect(counters.map(({ passes }) => passes)).toEqual([expected, 1]);
    const { testEvaluations } = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    expect(testEvaluations).toEqual({ hash: data.fingerprint(), count: 1 });
  },
);

test("looks at a test set are counted through all runs of a folder, and change nothing of a run", async () => {
  const out = newFolder(temporary);
  const inputs = tensor(
    Float32Array.from({ length: 4 * SAMPLES }, (_, i) => Math.sin(i)),
    { shape: [SAMPLES, 4] },
  );
  const data = new TensorDataset(
    inputs,
    Int32Array.from({ length: SAMPLES }, (_, i) => i % 3),
  );
  const train = (more: object) =>
    trainTeacher({ model: new Linear(4, 3), data, epochs: 1, out, report: false, ...more });
  const state = new Generator(5);
  await withGenerator(state, () => train({}));
  expect(await countTestEvaluation(out, "a")).toBe(1);
  // The same run goes on, and another one replaces it.
  await withGenerator(new Generator(5), () => train({ resume: true }));
  expect(await countTestEvaluation(out, "a")).toBe(2);
  await train({ overwrite: true, lr: 0.5 });
  expect(await countTestEvaluation(out, "a")).toBe(3);
  expect(await countTestEvaluation(out, "b")).toBe(1);
});
