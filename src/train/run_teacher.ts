import { argumentError } from "../checks.js";
import type { Dataset } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import type { DistillationLoss } from "../losses/index.js";
import { readsTeacher, readsTeacherLogits } from "../losses/loss.js";
import { isLabelFree } from "../losses/trial_batch.js";
import { Module } from "../nn/module.js";
import { asTeacher } from "../teachers/as_teacher.js";
import { chooseTeacher, expectCacheable } from "../teachers/choose.js";
import { forRun } from "../teachers/for_run.js";
import { hashOfTeacher, type Teacher, type TeacherCache, type TeacherFunction } from "../teachers/index.js";
import { teacherHashes } from "../teachers/teacher_fingerprint.js";
import type { Precision } from "../tensor/precision.js";
import {
  calibrated,
  calibrateTeacher,
  expectCalibratable,
  logitsUnread,
  type TemperatureFit,
} from "./calibrate_teacher.js";
import type { RunControls } from "./controls.js";
import type { Preparation } from "./trainer_input.js";

/** What a distillation's teacher is used for. */
interface TeacherUse {
  student: Module;
  data: Dataset;
  validation: Dataset | undefined;
  teacherCache: boolean | TeacherCache | undefined;
  teacherMode: "train" | "eval";
  calibrateTeacher: boolean;
  precision: Precision;
  controls: RunControls;
}

/**
 * The teacher of a distillation during a run: it is opened for the run, prepared and calibrated once the run's folder
 * is known to be free, and used in its fastest exact form if steps remain.
 */
export class RunTeacher {
  /** As used for validation; null: there is none. */
  readonly teacher: Teacher | null;
  /** The loss of the student; from {@link Preparation.run} on it reads the calibrated logits. */
  loss: DistillationLoss;
  #calibration: TemperatureFit | null = null;
  /** As used by the steps. */
  #asked: Teacher | null;

  /** Opens the teacher if the loss reads it. */
  constructor(
    private readonly source: Module | Teacher | TeacherFunction | undefined,
    loss: DistillationLoss,
    private readonly use: TeacherUse,
  ) {
    const { student, data, validation = null, teacherMode: mode, precision } = use;
    const taps = loss.taps?.teacher ?? [];
    this.loss = loss;
    this.teacher = source === undefined ? null : forRun(asTeacher(source, { mode, taps }));
    this.#asked = this.teacher;
    this.#expectNetworkOptions();
    if (!readsTeacher(loss)) return;
    const labelFree = () => isLabelFree(loss, data.classes);
    this.teacher?.open?.({ data, student, taps, validation, labelFree, precision });
  }

  /**
   * Refuses a cache that is not exact, calibration of a teacher that can't be calibrated, and calibration if the loss
   * does not read the logits. `BAD_ARGUMENT`.
   */
  expectUsable(given: unknown): void {
    if (this.source instanceof Module && readsTeacher(this.loss)) expectCacheable(this.source, this.#ofNetwork());
    if (!this.use.calibrateTeacher) return;
    if (this.teacher === null || !readsTeacherLogits(this.loss)) throw logitsUnread([this.loss.name]);
    const { name, evaluate, isFixed } = this.teacher;
    const isNetwork = this.source instanceof Module;
    const shown = isNetwork && this.use.teacherMode === "train" ? "a teacher in train mode" : name;
    expectCalibratable(this.use.validation, { name: shown, evaluate, isFixed }, given);
  }

  /** Work that takes time or money before the first step; null: none. */
  get preparation(): Preparation | null {
    const { calibrateTeacher: isCalibrated } = this.use;
    if (!isCalibrated && (!readsTeacher(this.loss) || this.teacher?.prepare === undefined)) return null;
    const run = (controls: RunControls) => sayingHowToResume(controls, () => this.#prepare(controls));
    return { run, gives: isCalibrated ? ["teacherTemperature"] : [] };
  }

  /** What `config.json` stores about it. */
  config(): Readonly<Record<string, unknown>> {
    const { source, teacher } = this;
    return {
      ...(this.#calibration && { teacherTemperature: this.#calibration.temperature }),
      ...(source instanceof Module
        ? { teacherMode: this.use.teacherMode, ...teacherHashes(source) }
        : teacher && { teacher: teacher.name, teacherHash: hashOfTeacher(teacher) }),
    };
  }

  /** The teacher that the steps use; null: the loss reads none. */
  async forSteps(): Promise<Teacher | null> {
    const { source, use, loss } = this;
    if (!readsTeacher(loss)) return null;
    if (source instanceof Module) {
      const chosen = () => chooseTeacher(source, { ...this.#ofNetwork(), ...use.controls });
      this.#asked = await sayingHowToResume(use.controls, chosen);
    }
    return this.#asked;
  }

  #ofNetwork() {
    const { student, data, teacherCache, teacherMode: mode, precision } = this.use;
    return { student, data, teacherCache, mode, taps: this.loss.taps?.teacher ?? [], precision };
  }

  /** Releases what the teacher holds. */
  async close(): Promise<void> {
    await this.#asked?.close?.();
  }

  async #prepare({ out, signal, onNote, ranks }: RunControls): Promise<void> {
    const { teacher, use } = this;
    await teacher?.prepare?.({
      out: out ?? null,
      signal,
      fromFirst: ranks && ((compute) => ranks.arrayFromFirst(compute)),
      onNote,
    });
    if (teacher === null || !use.calibrateTeacher) return;
    const { precision } = use;
    this.#calibration = await calibrateTeacher(teacher, use.validation, { precision, signal });
    onNote?.(textOf(this.#calibration));
    this.loss = calibrated(this.loss, this.#calibration.temperature);
  }

  /** Refuses options about a network as the teacher if there is none, or if the loss does not read it. */
  #expectNetworkOptions(): void {
    const { source, loss } = this;
    const { teacherCache, teacherMode } = this.use;
    const refuse = (option: string, problem: string) => {
      throw argumentError(option, problem);
    };
    const cache = teacherCache === undefined || teacherCache === false ? null : "teacherCache";
    if (cache !== null && !readsTeacher(loss)) refuse(cache, `the loss ${loss.name} needs no teacher`);
    const asked = cache ?? (teacherMode === "train" ? "teacherMode" : null);
    if (asked === null) return;
    if (!(source instanceof Module)) {
      const text = "needs a network of Distillery's as the teacher, got another teacher";
      refuse(asked, source === undefined ? "needs a teacher" : text);
    }
    if (!readsTeacher(loss)) refuse(asked, `the loss ${loss.name} needs no teacher`);
  }
}

/** Runs `body`, work before the first step; if it is stopped, the error says how the run continues. */
async function sayingHowToResume<T>({ out }: RunControls, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    const isStopped = error instanceof DistilleryError && error.code === "ABORTED";
    if (!isStopped || out === undefined) throw error;
    throw new DistilleryError("ABORTED", `${error.message}: re-run with --resume to continue`, { cause: error });
  }
}

function textOf({ temperature, before, after }: TemperatureFit): string {
  const likelihood = `negative log-likelihood on the validation set ${before.toFixed(4)} before, ${after.toFixed(4)} after`;
  return `teacher calibrated: logits divided by ${temperature.toFixed(4)}, ${likelihood}`;
}
