import { badArgument } from "../checks.js";
import { expectDataset } from "../data/dataset.js";
import type { Dataset } from "../data/index.js";
import type { LossSpec } from "../losses/index.js";
import { readsTeacher } from "../losses/loss.js";
import { expectModule } from "../nn/expect_module.js";
import type { Module } from "../nn/module.js";
import { expectRead, taskOf } from "../tasks/index.js";
import { closing } from "./closing.js";
import { CONTROL_NAMES, type RunControls, splitControls } from "./controls.js";
import { expectTrainable } from "./expect_trainable.js";
import { fit } from "./fit.js";
import { resolveOptions, type TrainingOptions, trainingSchema } from "./options.js";
import { missingTeacher, resolveLoss } from "./resolve_loss.js";
import { type RunHandle, startRun } from "./run_handle.js";
import { Trainer } from "./trainer.js";

/** The input of {@link trainTeacher}: the network, the data, and optional settings. */
export interface TrainTeacherInput extends TrainingOptions, RunControls {
  /** The network to train. */
  model: Module;
  data: Dataset;
  /**
   * Evaluated after each epoch: the task's metrics, and the choice of the best weights. Do not pass the test set, which
   * must not influence that choice.
   */
  validation?: Dataset;
  /** The name of its weight files in `out`, without extension; default: `teacher`. */
  name?: string;
  /** A loss that needs no teacher; default: cross-entropy with `labelSmoothing`. */
  loss?: LossSpec;
}

/** What it takes beside options and controls. */
export const TRAINING_INPUT = [
  "model",
  "data",
  "validation",
  "name",
  "loss",
] as const satisfies readonly (keyof TrainTeacherInput)[];

/** The `trainTeacher` of the package (documented in src/report/) without its report. */
export function trainTeacher(input: TrainTeacherInput): RunHandle {
  return startRun(input, async (given, stream) => {
    const [controls, { model, data, validation, name = "teacher", loss: spec, ...rest }] = splitControls(given);
    expectModule("model", model);
    expectDataset(data, "data");
    if (validation !== undefined) expectDataset(validation, "validation");
    if (typeof name !== "string" || !/^[\w-]+$/.test(name)) {
      throw badArgument("name", "letters, digits, _ and -", name);
    }
    const options = resolveOptions(trainingSchema, rest, [...TRAINING_INPUT, ...CONTROL_NAMES]);
    const { labelSmoothing } = options;
    expectRead(data, { labelSmoothing });
    const loss =
      spec === undefined
        ? taskOf(data).hardLoss({ labelSmoothing })
        : await resolveLoss(spec, { student: model, teacher: null, data, labelSmoothing, generator: stream.generator });
    if (readsTeacher(loss)) throw missingTeacher(loss.name, spec);
    expectTrainable({
      networks: { model },
      loss,
      data,
      batchSize: options.batchSize,
      isEvaluated: validation !== undefined,
    });
    const trainer = await Trainer.open({
      command: "train-teacher",
      name,
      model,
      loss,
      lossSpec: spec,
      teacher: null,
      data,
      validation: validation ?? null,
      options,
      config: () => (spec === undefined ? {} : { loss: loss.config() }),
      controls,
      stream,
    });
    return closing(() => fit(trainer, loss, null), [() => trainer.close()], controls.onNote);
  });
}
