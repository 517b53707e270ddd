import { createHash } from "node:crypto";
import { join } from "node:path";
import { argumentError } from "../checks.js";
import type { Dataset } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import { MAX_FILE_BYTES } from "../files/index.js";
import type { WorkProgress } from "../log/progress_line.js";
import { cached, hashOfTeacher, type Teacher, TeacherCache } from "../teachers/index.js";
import { allLogits, isRowByRow, notCached, type OutputsOf, UNCACHEABLE } from "../teachers/logits_in_order.js";
import { inPrecision, type Precision } from "../tensor/precision.js";
import { Tensor } from "../tensor/tensor.js";
import { calibrateTeacher } from "../train/calibrate_teacher.js";
import type { SplitTask } from "./task.js";

/** The files of a teacher's logits below `out`; null: there are none. */
export interface LogitsFiles {
  readonly training: string | null;
  readonly validation: string | null;
}

/** A teacher's logits for the training data and, if it knows those, the validation set. */
export interface SplitLogits {
  readonly training: TeacherCache;
  readonly validation: TeacherCache | null;
}

/** The files in a folder that logits are kept in. */
export function logitsFilesIn(out: string): { training: string; validation: string } {
  return {
    training: join(out, "teacher_logits.safetensors"),
    validation: join(out, "teacher_validation_logits.safetensors"),
  };
}

/**
 * Logits that an interrupted call left in a file; null if it has none of this teacher, these data and this precision.
 *
 * @throws DistilleryError `IO_ERROR` if the file can't be read.
 */
export async function storedLogits(
  file: string,
  teacherHash: string | null,
  data: Dataset,
  precision: Precision,
): Promise<TeacherCache | null> {
  try {
    const cache = await TeacherCache.load(file);
    cache.expectPrecision(precision);
    cache.expectData(data);
    return cache.teacherHash === teacherHash ? cache : null;
  } catch (error) {
    if (error instanceof DistilleryError && OF_OTHERS.includes(error.code)) return null;
    throw error;
  }
}

/** The errors of a file that is not there, is damaged, or is of other data. */
const OF_OTHERS: readonly string[] = ["NOT_FOUND", "BAD_CHECKPOINT", "BAD_ARGUMENT"];

/** Why the logits for data can't be kept in a file; null if they can. */
export function tooManyLogits(data: Dataset): string | null {
  const bytes = data.length * data.classes * Float32Array.BYTES_PER_ELEMENT;
  return bytes > MAX_FILE_BYTES ? `they take ${bytes} bytes, and a file at most ${MAX_FILE_BYTES}` : null;
}

/** The logits as the teacher of a run, by the name of the one that gave them. */
export function taught(name: string, { training, validation }: SplitLogits): Teacher {
  const own: Teacher = {
    name,
    fingerprint: () => training.teacherHash,
    outputs: ({ indices }) => ({ logits: training.batch(indices), taps: {} }),
    ...(validation && { evaluate: ({ indices }) => ({ logits: validation.batch(indices), taps: {} }) }),
  };
  return { ...cached(training, own), name };
}

/** Where and how a teacher is asked. */
export interface Preparation {
  readonly out: string;
  readonly resume: boolean;
  /** What tells the logits that were kept, if the teacher says nothing itself before it is asked. */
  readonly hash?: string | null;
  readonly signal: AbortSignal;
  readonly onWork: (progress: WorkProgress) => void;
  readonly onNote: (text: string) => void;
}

/**
 * A teacher of a comparison or a sweep that is no network of Distillery's: a file of logits, an ONNX network, a
 * function. It is asked once, in the runs' precision and before anything is written, and all students get the same
 * logits.
 */
export class ExternalTeacher {
  #logits: SplitLogits | null = null;

  /** Opens it; `BAD_ARGUMENT` if it does not fit the data, or changes with a run. */
  constructor(
    readonly teacher: Teacher,
    private readonly task: SplitTask,
    private readonly precision: Precision,
  ) {
    const { data, validation } = task;
    if (teacher.isFixed === false) {
      const text = `${teacher.name} changes with the run that it teaches in, and all students are to have the same one`;
      throw argumentError("teacher", `${text}: distill takes it`);
    }
    teacher.open?.({ data, validation, taps: [], precision });
  }

  /** Null: they are computed at each step, as they depend on more than the sample. */
  get logits(): SplitLogits | null {
    return this.#logits;
  }

  /** Asks about all samples, unless an interrupted call kept its logits in `out`. */
  async prepare({ out, resume, hash: kept = null, signal, onWork, onNote }: Preparation): Promise<void> {
    const { teacher } = this;
    const { data, validation } = this.task;
    const { precision } = this;
    const hash = kept ?? hashOfTeacher(teacher);
    if (resume) {
      const files = logitsFilesIn(out);
      const training = await storedLogits(files.training, hash, data, precision);
      const ofValidation = training && (await storedLogits(files.validation, hash, validation, precision));
      if (training !== null && (ofValidation !== null || teacher.evaluate === undefined)) {
        this.#logits = { training, validation: ofValidation };
        return;
      }
    }
    await teacher.prepare?.({ out, once: true, signal, onNote });
    const tooMany = tooManyLogits(data) ?? tooManyLogits(validation);
    if (tooMany !== null) return onNote(notCached(tooMany));
    if (data.augmented === true) return onNote(notCached(UNCACHEABLE.augmented));
    const outputsOf = this.#asked(teacher.outputs.bind(teacher));
    if (!(await isRowByRow(outputsOf, data))) return onNote(notCached(UNCACHEABLE.notByRow));
    const training = await allLogits(outputsOf, data, { signal, onWork });
    const ofValidation =
      teacher.evaluate &&
      (await allLogits(this.#asked(teacher.evaluate.bind(teacher)), validation, { signal, onWork }));
    const teacherHash = hash ?? createHash("sha256").update(training).digest("hex");
    this.#logits = {
      training: TeacherCache.of(training, teacherHash, data, precision),
      validation: ofValidation ? TeacherCache.of(ofValidation, teacherHash, validation, precision) : null,
    };
  }

  /**
   * Refuses a teacher whose logits can't be calibrated, before anything is written; each run calibrates them by itself.
   */
  async expectCalibrated(signal: AbortSignal): Promise<void> {
    const { teacher, logits, precision } = this;
    const asked = logits === null ? teacher : taught(teacher.name, logits);
    await calibrateTeacher(asked, this.task.validation, { precision, signal });
  }

  /** Keeps the logits for other processes, and another call. */
  async save(out: string): Promise<LogitsFiles> {
    const files = this.filesIn(out);
    if (files.training !== null) await this.#logits?.training.save(files.training);
    if (files.validation !== null) await this.#logits?.validation?.save(files.validation);
    return files;
  }

  /** The files in which they are kept. */
  filesIn(out: string): LogitsFiles {
    if (this.#logits === null) return { training: null, validation: null };
    const { training, validation } = logitsFilesIn(out);
    return { training, validation: this.#logits.validation && validation };
  }

  /** Its logits for the test set, in float32 as all that is tested; null if it knows none. */
  async testLogits(test: Dataset, signal: AbortSignal): Promise<Tensor | null> {
    const { teacher } = this;
    teacher.open?.({ data: this.task.data, validation: test, taps: [], precision: this.precision });
    if (teacher.evaluate === undefined) return null;
    return new Tensor(await allLogits(teacher.evaluate.bind(teacher), test, { signal }), [test.length, test.classes]);
  }

  /** `outputs` or `evaluate`, in the runs' precision. */
  #asked(outputsOf: OutputsOf): OutputsOf {
    return (batch) => inPrecision(this.precision, () => outputsOf(batch));
  }

  async close(): Promise<void> {
    await this.teacher.close?.();
  }
}
