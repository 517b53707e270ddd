import { STUDENT_FILE } from "../checkpoint/index.js";
import { expectFlags } from "../checks.js";
import { expectDataset } from "../data/dataset.js";
import type { Dataset } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import type { DistillationLoss, LossSpec } from "../losses/index.js";
import { KD_DEFAULTS } from "../losses/kd_loss.js";
import { readsTeacherLogits } from "../losses/loss.js";
import { fitNetwork } from "../models/fit_network.js";
import { expectModule } from "../nn/expect_module.js";
import { Module } from "../nn/module.js";
import { expectRead, taskOf } from "../tasks/index.js";
import { asTeacher } from "../teachers/as_teacher.js";
import { chooseTeacher, expectCache } from "../teachers/choose.js";
import { hashOfTeacher, type Teacher, type TeacherCache, type TeacherFunction } from "../teachers/index.js";
import { teacherHashes } from "../teachers/teacher_fingerprint.js";
import {
  type Calibration,
  calibrated,
  calibrateTeacher,
  expectCalibratable,
  logitsUnread,
} from "./calibrate_teacher.js";
import { CONTROL_NAMES, type RunControls, splitControls } from "./controls.js";
import { fit } from "./fit.js";
import { type DistillationOptions, distillationSchema, resolveOptions } from "./options.js";
import { expectDimensions, isLabelFree, type LossUse, missingTeacher, resolveLoss } from "./resolve_loss.js";
import { type RunHandle, startRun } from "./run_handle.js";
import { Trainer } from "./trainer.js";

/** What {@link distill} takes: the networks, the data, and options that may be left out. */
export interface DistillInput extends DistillationOptions, RunControls {
  /**
   * A network, whose parameters do not change; another {@link Teacher}; or a function of the batch that gives logits. None
   * if the loss needs none.
   */
  teacher?: Module | Teacher | TeacherFunction;
  /** Trained. */
  student: Module;
  data: Dataset;
  /** Evaluated on after each epoch: accuracy, agreement, the best weights. Not the test set, which is not to be chosen on. */
  validation?: Dataset;
  /**
   * What the student is trained with: an expression such as `"0.1*cross-entropy + 0.9*kd(temperature=4)"`, a
   * {@link DistillationLoss}, or a function of the batch that gives a scalar. Default: the loss of Hinton, Vinyals and Dean
   * with `temperature` and `alpha`, `kd(temperature, alpha)`.
   */
  loss?: LossSpec;
  /**
   * Whether the teacher's logits are computed once for each sample and not at each step; or logits computed before. The
   * same bits either way. Default: if that is exact, for a network in eval mode, data that do not change and networks that
   * share no parameter.
   */
  teacherCache?: boolean | TeacherCache;
  /**
   * Whether the teacher's logits are divided by the temperature that makes the validation set's labels most likely
   * (temperature scaling: Guo et al., 2017), before the loss reads them. Default false.
   */
  calibrateTeacher?: boolean;
}

/** What it takes beside options and controls. */
export const DISTILL_INPUT = [
  ...(["teacher", "student", "data", "validation", "loss", "teacherCache", "calibrateTeacher"] as const),
] as const satisfies readonly (keyof DistillInput)[];

/** `distill` of the package, which src/report/ describes, without its report. */
export function distill(input: DistillInput): RunHandle {
  return startRun(input, async (given, stream) => {
    const [
      controls,
      {
        teacher: whole,
        student,
        data,
        validation,
        teacherCache,
        loss: spec,
        calibrateTeacher: isCalibrated = false,
        ...rest
      },
    ] = splitControls(given);
    expectFlags({ calibrateTeacher: isCalibrated });
    expectModule("student", student);
    if (whole === student) {
      const text = "expected another network than the student, got the same object: it would be trained towards itself";
      throw new DistilleryError("BAD_ARGUMENT", `teacher: ${text}`);
    }
    expectDataset(data, "data");
    expectCache(teacherCache);
    const source = whole instanceof Module ? fitNetwork(whole, data, "teacher") : whole;
    if (validation !== undefined) expectDataset(validation, "validation");
    const { temperature, alpha, teacherMode, ...options } = resolveOptions(distillationSchema, rest, [
      ...DISTILL_INPUT,
      ...CONTROL_NAMES,
    ]);
    const plain = await distillationLoss(spec, {
      ...{ student, teacher: source ?? null, data, generator: stream.generator },
      ...{ temperature, alpha, labelSmoothing: options.labelSmoothing },
    });
    const use = { mode: teacherMode, taps: plain.taps?.teacher ?? [] };
    if (source === undefined && plain.needsTeacher) throw missingTeacher(plain.name, spec);
    const teacher = source === undefined ? null : asTeacher(source, use);
    expectNetworkOptions({ teacherCache, teacherMode }, source, plain);
    if (teacher !== null && plain.needsTeacher) {
      const labelFree = () => isLabelFree(plain, data.classes);
      const { precision } = options;
      teacher.open?.({ data, student, taps: use.taps, validation: validation ?? null, labelFree, precision });
    }
    let running = teacher;
    let trainer: Trainer | null = null;
    try {
      if (isCalibrated) {
        if (teacher === null || !readsTeacherLogits(plain)) throw logitsUnread([plain.name]);
        expectCalibratable(validation, teacher, whole);
      }
      let loss = plain;
      let calibration: Calibration | null = null;
      const prepare = async () => {
        const { out = null, signal, onNote } = controls;
        await teacher?.prepare?.({ out, ...(signal && { signal }), ...(onNote && { onNote }) });
        if (teacher === null || !isCalibrated) return;
        calibration = await calibrateTeacher(teacher, validation, {
          precision: options.precision,
          ...(signal && { signal }),
        });
        onNote?.(textOf(calibration));
        loss = calibrated(plain, calibration.temperature);
      };
      const isPrepared = isCalibrated || (plain.needsTeacher && teacher?.prepare !== undefined);
      const preparation = isPrepared ? { run: prepare, gives: isCalibrated ? ["teacherTemperature"] : [] } : null;
      const config = () => ({
        ...(calibration !== null && { teacherTemperature: calibration.temperature }),
        ...(spec === undefined ? { temperature, alpha } : { loss: loss.config() }),
        ...(source instanceof Module
          ? { teacherMode, ...teacherHashes(source) }
          : teacher && { teacher: teacher.name, teacherHash: hashOfTeacher(teacher) }),
      });
      const teacherNetwork =
        plain.needsTeacher && source instanceof Module ? { module: source, mode: teacherMode } : null;
      trainer = await Trainer.open({
        ...{ command: "distill", name: STUDENT_FILE, model: student, loss: plain, lossSpec: spec, data },
        // Another teacher than a network was opened only if the loss reads it.
        teacher: plain.needsTeacher || source instanceof Module ? teacher : null,
        ...{ teacherNetwork, validation: validation ?? null, options, config, preparation, controls, stream },
      });
      if (source instanceof Module && loss.needsTeacher && !trainer.isFinished) {
        running = await chooseTeacher(source, {
          ...{ ...use, student, data, teacherCache, precision: options.precision },
          ...controls,
        });
      }
      return await fit(trainer, loss, loss.needsTeacher ? running : null);
    } finally {
      try {
        await running?.close?.();
      } finally {
        await trainer?.close();
      }
    }
  });
}

/** Refuses options that ask something of a network as the teacher where none is, or where the loss does not read it. */
function expectNetworkOptions(
  { teacherCache, teacherMode }: Pick<DistillInput, "teacherCache" | "teacherMode">,
  source: DistillInput["teacher"],
  { name, needsTeacher }: DistillationLoss,
): void {
  const refuse = (option: string, problem: string) => {
    throw new DistilleryError("BAD_ARGUMENT", `${option}: ${problem}`);
  };
  const cache = teacherCache === undefined || teacherCache === false ? null : "teacherCache";
  if (cache !== null && !needsTeacher) refuse(cache, `the loss ${name} needs no teacher`);
  const asked = cache ?? (teacherMode === "train" ? "teacherMode" : null);
  if (asked === null || source instanceof Module) return;
  refuse(
    asked,
    source === undefined ? "there is no teacher" : "the teacher is no network of Distillery's, which takes it",
  );
}

function textOf({ temperature, before, after }: Calibration): string {
  const likelihood = `negative log-likelihood on the validation set ${before.toFixed(4)} before, ${after.toFixed(4)} after`;
  return `teacher calibrated: logits divided by ${temperature.toFixed(4)}, ${likelihood}`;
}

/** The loss of a distillation: that of a specification, or without one the default with a temperature and an alpha. */
export async function distillationLoss(
  spec: LossSpec | undefined,
  { temperature, alpha, ...use }: LossUse & { temperature: number; alpha: number },
): Promise<DistillationLoss> {
  refuseBoth(spec, { temperature, alpha });
  if (spec === undefined) expectRead(use.data, { temperature, alpha });
  expectRead(use.data, { labelSmoothing: use.labelSmoothing });
  if (spec !== undefined) return resolveLoss(spec, use);
  if (alpha === 1 && use.labelSmoothing > 0) {
    throw new DistilleryError("BAD_ARGUMENT", "labelSmoothing: with alpha 1 the loss reads no labels: leave it out");
  }
  if (taskOf(use.data).width(use.data.classes) < 0) expectDimensions(use, alpha);
  return taskOf(use.data).distillationLoss({ temperature, alpha, labelSmoothing: use.labelSmoothing });
}

/** Refuses a temperature or an alpha beside a loss, which has its own. */
function refuseBoth(loss: LossSpec | undefined, given: { temperature: number; alpha: number }): void {
  const name = (["temperature", "alpha"] as const).find((option) => given[option] !== KD_DEFAULTS[option]);
  if (loss === undefined || name === undefined) return;
  const text = `${name}: the loss has its own, as "kd(temperature=4, alpha=0.9)": leave one of the two out`;
  throw new DistilleryError("BAD_ARGUMENT", text);
}
