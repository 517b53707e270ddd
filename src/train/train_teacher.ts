import type { Dataset } from "../data/index.js";
import { crossEntropy } from "../losses/cross_entropy.js";
import type { Module } from "../nn/module.js";
import { clipGradNorm } from "../optim/clip_grad_norm.js";
import { expectDataset, expectFinite, expectModule } from "./arguments.js";
import { type RunControls, splitControls } from "./controls.js";
import type { RunResult } from "./distill.js";
import { readOptions, type TrainingOptions, trainingSchema } from "./options.js";
import { TrainingRun } from "./run.js";

/** What {@link trainTeacher} takes: the network, the data, and options that may be left out. */
export interface TrainTeacherInput extends TrainingOptions, RunControls {
  /** Trained. */
  model: Module;
  data: Dataset;
}

/**
 * Trains a network on labelled data with cross-entropy: the same optimizer, schedule and clipping as {@link distill},
 * the same care for the random stream and the event loop, and the same errors.
 *
 * @example
 * ```ts
 * const { train, test } = await loadImages("fashion-mnist");
 * const teacher = new TeacherNet();
 * await trainTeacher({ model: teacher, data: train, epochs: 12, out: "runs/teacher" });
 * console.log(evaluate(teacher, test).accuracy);
 * ```
 */
export async function trainTeacher(input: TrainTeacherInput): Promise<RunResult> {
  const [controls, { model, data, ...rest }] = splitControls(input);
  expectModule("model", model);
  expectDataset("data", data);
  const options = readOptions(trainingSchema, rest);
  const run = await TrainingRun.open({
    command: "train-teacher",
    model,
    moving: null,
    modes: [[model, true]],
    data,
    options,
    config: () => ({}),
    controls,
  });
  try {
    const { optimizer, scheduler } = run;
    const parameters = model.parameters();
    while (run.nextEpoch()) {
      while (await run.nextStep()) {
        run.step((i) => {
          const { inputs, labels } = run.batches.batch(i);
          const loss = crossEntropy(model.forward(inputs), labels);
          optimizer.zeroGrad();
          loss.backward();
          const gradNorm = expectFinite("gradient norm", clipGradNorm(parameters, options.maxGradNorm));
          optimizer.step();
          scheduler.step();
          return { losses: { loss: loss.item() }, gradNorm };
        });
      }
      await run.endEpoch();
    }
    return await run.finish("teacher");
  } finally {
    await run.close();
  }
}
