import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { RunPrinter } from "../../src/cli/printer.js";
import { summarizeRun } from "../../src/cli/run_summary.js";
import type { Source } from "../../src/cli/setup.js";
import { Linear, type Module, manualSeed, type Tensor, TensorDataset, tensor } from "../../src/index.js";
import { cloneState } from "../../src/train/trainer_state.js";
import { temporaryFolder } from "../checkpoint/support.js";
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
    await summarizeRun(new RunPrinter({ quiet: true }, { lossName: "Loss", epochs: 2, details: false }), {
      ...{ role: "student" as const, network: student, teacher, out, report: true },
      result: { history, files: ["a.pth", "a.safetensors", "b.pth"], best, stoppedEarly: false },
      source: { test: data, validation: data } as unknown as Source,
    });
    expect(counters.map(({ passes }) => passes)).toEqual([expected, 1]);
  },
);
