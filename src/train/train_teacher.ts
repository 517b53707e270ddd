import { show } from "../checks.js";
import type { Dataset } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import { crossEntropy } from "../losses/cross_entropy.js";
import type { Module } from "../nn/module.js";
import { clipGradNorm } from "../optim/clip_grad_norm.js";
import { expectDataset, expectFinite, expectModule } from "./arguments.js";
import { type RunControls, splitControls } from "./controls.js";
import { readOptions, type TrainingOptions, trainingSchema } from "./options.js";
import { TrainingRun } from "./run.js";
import type { RunResult } from "./run_setup.js";
import { Training } from "./training.js";

/** What {@link trainTeacher} takes: the network, the data, and options that may be left out. */
export interface TrainTeacherInput extends TrainingOptions, RunControls {
  /** Trained. */
  model: Module;
  data: Dataset;
  /** Looked at after each epoch, for accuracy and the best weights. Not the test set: that would be chosen on. */
  validation?: Dataset;
  /** What its files of weights in `out` are called, without extension; default: `teacher`. */
  name?: string;
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
export function trainTeacher(input: TrainTeacherInput): Training {
  return Training.start(input, trained);
}

async function trained(input: TrainTeacherInput): Promise<RunResult> {
  const [controls, { model, data, validation, name = "teacher", ...rest }] = splitControls(input);
  expectModule("model", model);
  expectDataset("data", data);
  if (validation !== undefined) expectDataset("validation", validation);
  if (typeof name !== "string" || !/^[\w-]+$/.test(name)) {
    throw new DistilleryError("BAD_ARGUMENT", `name: expected letters, digits, _ and -, got ${show(name)}`);
  }
  const options = readOptions(trainingSchema, rest);
  const run = await TrainingRun.open({
    command: "train-teacher",
    model,
    moving: null,
    modes: [[model, true]],
    data,
    validation: validation ?? null,
    teacher: null,
    options,
    config: () => ({}),
    controls,
  });
  try {
    const { optimizer, scheduler } = run;
    const { labelSmoothing } = options;
    const parameters = model.parameters();
    while (run.nextEpoch()) {
      while (await run.nextStep()) {
        run.step((i) => {
          const { inputs, labels } = run.batches.batch(i);
          const loss = crossEntropy(model.forward(inputs), labels, { labelSmoothing });
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
    return await run.finish(name);
  } finally {
    await run.close();
  }
}
