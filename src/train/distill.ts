import { STUDENT_FILE } from "../checkpoint/index.js";
import { argumentError, expectFlags } from "../checks.js";
import { expectDataset } from "../data/dataset.js";
import type { Dataset } from "../data/index.js";
import type { DistillationLoss, LossSpec } from "../losses/index.js";
import { KD_DEFAULTS } from "../losses/kd_loss.js";
import { readsTeacher } from "../losses/loss.js";
import { fitTeacher } from "../models/fit_network.js";
import { expectModule } from "../nn/expect_module.js";
import { Module } from "../nn/module.js";
import { expectRead, taskOf } from "../tasks/index.js";
import { expectCache } from "../teachers/choose.js";
import type { Teacher, TeacherCache, TeacherFunction } from "../teachers/index.js";
import { Generator } from "../tensor/random.js";
import { closing } from "./closing.js";
import { CONTROL_NAMES, type RunControls, splitControls } from "./controls.js";
import { expectTrainable } from "./expect_trainable.js";
import { fit } from "./fit.js";
import { type DistillationOptions, distillationSchema, expectSoftTargets, resolveOptions } from "./options.js";
import { expectSameDimensions, type LossUse, missingTeacher, resolveLoss } from "./resolve_loss.js";
import { type RunHandle, startRun } from "./run_handle.js";
import { RunTeacher } from "./run_teacher.js";
import { Trainer } from "./trainer.js";
import { madeOf } from "./trainer_input.js";

/** The input of {@link distill}: the networks, the data, and optional settings. */
export interface DistillInput extends DistillationOptions, RunControls {
  /**
   * A network, whose parameters do not change; another {@link Teacher}; or a function of the batch that returns logits.
   * May be left out if the loss needs no teacher.
   */
  teacher?: Module | Teacher | TeacherFunction;
  /** The network to train. */
  student: Module;
  data: Dataset;
  /**
   * Evaluated after each epoch: accuracy, agreement, and the choice of the best weights. Do not pass the test set,
   * which must not influence that choice.
   */
  validation?: Dataset;
  /**
   * What the student is trained with: an expression such as `"0.1*cross-entropy + 0.9*kd(temperature=4)"`, a {@link
   * DistillationLoss}, or a function of the batch that returns a scalar. Default: the loss of Hinton, Vinyals and Dean
   * with `temperature` and `alpha`, `kd(temperature, alpha)`.
   */
  loss?: LossSpec;
  /**
   * Whether the teacher's logits are computed once for each sample instead of at each step; or a cache of logits. The
   * bits are the same. Default: true if it is exact, that is for a network in eval mode, data that do not change, and
   * networks that share no parameter.
   */
  teacherCache?: boolean | TeacherCache;
  /**
   * Whether the teacher's logits are divided, before the loss reads them, by the temperature that makes the validation
   * set's labels most likely (temperature scaling: Guo et al., 2017). Default false.
   */
  calibrateTeacher?: boolean;
}

/** Properties besides options and controls. */
export const DISTILL_INPUT = [
  "teacher",
  "student",
  "data",
  "validation",
  "loss",
  "teacherCache",
  "calibrateTeacher",
] as const satisfies readonly (keyof DistillInput)[];

/** The `distill` of the package (documented in src/report/) without its report. */
export function distill(input: DistillInput): RunHandle {
  return startRun(input, async (given, stream) => {
    const { controls, whole, student, data, validation, ...prepared } = await prepare(given, stream.generator);
    const { source, loss, spec, taught, options, temperature, alpha, teacherMode } = prepared;
    let trainer: Trainer | null = null;
    const run = async () => {
      taught.expectUsable(whole);
      const module = source instanceof Module ? source : null;
      trainer = await Trainer.open({
        command: "distill",
        name: STUDENT_FILE,
        model: student,
        loss,
        lossSpec: spec,
        // A teacher that is not a network is opened only if the loss reads it.
        teacher: readsTeacher(loss) || module !== null ? taught.teacher : null,
        teacherNetwork: readsTeacher(loss) && module !== null ? { module, mode: teacherMode } : null,
        data,
        validation: validation ?? null,
        options,
        preparation: taught.preparation,
        controls,
        stream,
        config: () => ({
          ...(spec === undefined ? { temperature, alpha } : { loss: taught.loss.config() }),
          ...taught.config(),
        }),
      });
      return await fit(trainer, taught.loss, trainer.isFinished ? null : await taught.forSteps());
    };
    return closing(run, [() => taught.close(), () => trainer?.close()], controls.onNote);
  });
}

/**
 * Refuses networks, data and options that {@link distill} would refuse, before it is run: for a later link of a chain,
 * whose teacher is not yet trained.
 */
export async function expectDistillable(input: DistillInput): Promise<void> {
  const { whole, taught, student: model, spec: lossSpec, ...use } = await prepare(input, new Generator());
  try {
    taught.expectUsable(whole);
    await madeOf({ model, lossSpec, ...use });
  } finally {
    await taught.close();
  }
}

/**
 * The parts of a distillation, with its loss made and its teacher opened; nothing has been requested or written yet.
 */
async function prepare(given: DistillInput, generator: Generator) {
  const [controls, { teacher: whole, student, data, validation, loss: spec, ...more }] = splitControls(given);
  const { teacherCache, calibrateTeacher = false, ...rest } = more;
  expectFlags({ calibrateTeacher });
  expectModule("student", student);
  if (whole === student) {
    const text = "expected another network than the student, got the same object: it would be trained towards itself";
    throw argumentError("teacher", text);
  }
  expectDataset(data, "data");
  expectCache(teacherCache);
  const source = fitTeacher(whole, data);
  if (validation !== undefined) expectDataset(validation, "validation");
  const names = [...DISTILL_INPUT, ...CONTROL_NAMES];
  const { temperature, alpha, teacherMode, ...options } = resolveOptions(distillationSchema, rest, names);
  expectSoftTargets({ alpha, temperature, calibrateTeacher, teacherCache });
  const { labelSmoothing, precision } = options;
  const use = { student, teacher: source ?? null, data, generator, temperature, alpha, labelSmoothing };
  const loss = await distillationLoss(spec, use);
  if (source === undefined && readsTeacher(loss)) throw missingTeacher(loss.name, spec);
  expectTrainable({
    networks: { student },
    teacher: source,
    loss,
    data,
    batchSize: options.batchSize,
    isEvaluated: validation !== undefined,
  });
  const asked = { student, data, validation, teacherCache, teacherMode, calibrateTeacher, precision, controls };
  const taught = new RunTeacher(source, loss, asked);
  return {
    controls,
    whole,
    source,
    student,
    data,
    validation,
    spec,
    loss,
    taught,
    options,
    temperature,
    alpha,
    teacherMode,
  };
}

/** The loss of a distillation: from a specification or, without one, the default with a temperature and an alpha. */
export async function distillationLoss(
  spec: LossSpec | undefined,
  { temperature, alpha, ...use }: LossUse & { temperature: number; alpha: number },
): Promise<DistillationLoss> {
  refuseBoth(spec, { temperature, alpha });
  if (spec === undefined) expectRead(use.data, { temperature, alpha });
  expectRead(use.data, { labelSmoothing: use.labelSmoothing });
  if (spec !== undefined) return resolveLoss(spec, use);
  if (alpha === 1 && use.labelSmoothing > 0) {
    throw argumentError("labelSmoothing", "with alpha 1 the loss reads no labels: leave it out");
  }
  if (taskOf(use.data).width(use.data.classes) < 0) expectSameDimensions(use, alpha);
  return taskOf(use.data).distillationLoss({ temperature, alpha, labelSmoothing: use.labelSmoothing });
}

/** Refuses a temperature or an alpha besides a loss, which has its own. */
function refuseBoth(loss: LossSpec | undefined, given: { temperature: number; alpha: number }): void {
  const name = (["temperature", "alpha"] as const).find((option) => given[option] !== KD_DEFAULTS[option]);
  if (loss === undefined || name === undefined) return;
  const text = 'the loss has its own, as "kd(temperature=4, alpha=0.9)": leave one of the two out';
  throw argumentError(name, text);
}
