import { argumentError } from "../checks.js";
import { type Batch, type Dataset, fingerprintOf } from "../data/dataset.js";
import { type Base, basesOf } from "../data/derived_dataset.js";
import { expectUnrounded, outputsText } from "../data/targets.js";
import { DistilleryError } from "../errors.js";
import type { Outputs } from "../losses/loss.js";
import { currentPrecision, expectPrecision, type Precision } from "../tensor/precision.js";
import { noteAccuracy } from "./accuracy_note.js";
import { columnsOf } from "./class_columns.js";
import { ofRuns } from "./for_run.js";
import { logitsAt } from "./sample_logits.js";
import type { PreparedRun, Teacher, TeacherRun } from "./teacher.js";

/** Logits by sample index, in memory or on disk. */
export interface LogitsRows {
  /** For errors. */
  readonly name: string;
  readonly samples: number;
  /** Null: as many as the data have, at least `lowestClasses`. */
  readonly classes: number | null;
  readonly lowestClasses: number;
  /** In the order of the columns, if that is known. */
  readonly classNames?: readonly string[];
  /** The fingerprint of the data that they belong to, if that is known. */
  readonly dataHash?: string;
  /**
   * Whether the values of a regression are standardised like the data's targets; default: in the unit of their columns.
   */
  readonly isStandardized?: boolean;
  /** The precision in which they were computed, if that is known. */
  readonly precision?: Precision;
  /** Distinguishes them from others. */
  readonly hash: string;
  /** The logits of a sample, one for each class. */
  read(index: number, out: Float32Array): void;
}

/** Existing logits, by sample index, as a teacher; also for a validation set from the same source. */
export function byIndex(name: string, rows: LogitsRows): Teacher {
  return ofRuns(() => new ByIndex(name, rows));
}

class ByIndex implements Teacher {
  /** The row of each sample of the training data. */
  #training: Int32Array | null = null;
  #validation: Int32Array | null = null;
  #data: Dataset | null = null;
  #classes = 0;
  /** The column of each class; null: the columns are the classes in their order. */
  #columns: Int32Array | null = null;
  #row = new Float32Array(0);

  constructor(
    readonly name: string,
    private readonly rows: LogitsRows,
  ) {}

  fingerprint(): string {
    return this.rows.hash;
  }

  open({ data, taps, validation = null, precision = currentPrecision() }: TeacherRun): void {
    const { rows } = this;
    if (taps.length > 0) {
      const text = `its logits have no output of the module "${taps[0]}", which the loss reads: give the network`;
      throw refused(rows, text);
    }
    if (rows.precision !== undefined) expectPrecision(rows.name, rows.precision, precision);
    expectNotAugmented(data, rows.name);
    expectClasses(rows, data);
    if (rows.isStandardized !== true) expectUnrounded(rows.name, data);
    this.#columns = columnsOf(rows.name, rows.classNames, data);
    const { dataset, indices } = baseOf(rows, data);
    this.#training = indices;
    this.#data = data;
    this.#classes = data.classes;
    // Rows with names may have more classes than the data.
    this.#row = new Float32Array(rows.classNames?.length ?? data.classes);
    const same = validation === null ? undefined : basesOf(validation).find((base) => base.dataset === dataset);
    this.#validation = same?.indices ?? null;
  }

  async prepare({ onNote }: PreparedRun): Promise<void> {
    const [data, places] = [this.#data, this.#training];
    if (data === null || places === null) return;
    const row = new Float32Array(data.classes);
    await noteAccuracy(this.rows.name, data, onNote, (index) => this.#read(places[index], row));
  }

  outputs({ indices }: Batch): Outputs {
    if (this.#training === null) throw new DistilleryError("INTERNAL", `${this.name}: was not opened`);
    return this.#take(this.#training, indices);
  }

  get evaluate(): ((batch: Batch) => Outputs) | undefined {
    const rows = this.#validation;
    return rows === null ? undefined : ({ indices }) => this.#take(rows, indices);
  }

  #take(places: Int32Array, indices: Int32Array): Outputs {
    return logitsAt(indices, this.#classes, (index, out) => this.#read(places[index], out));
  }

  #read(place: number, out: Float32Array): Float32Array {
    const [columns, scale] = [this.#columns, this.#data?.targetScale];
    if (columns === null) this.rows.read(place, out);
    else {
      this.rows.read(place, this.#row);
      for (let c = 0; c < out.length; c++) out[c] = this.#row[columns[c]];
    }
    if (scale === undefined || this.rows.isStandardized === true) return out;
    // Values in the unit of their columns, as the data have them before standardisation.
    for (let c = 0; c < out.length; c++) out[c] = (out[c] - scale.mean[c]) / scale.std[c];
    return out;
  }
}

/** Refuses data whose samples change at random, since the teacher's logits are fixed. */
export function expectNotAugmented(data: Dataset, teacher: string, otherwise?: string): void {
  if (data.augmented !== true) return;
  const text = "the data are augmented at random, and its logits are those of the samples as they are";
  throw argumentError(
    "teacher",
    `${teacher}: ${text}: leave the augmentation out${otherwise === undefined ? "" : `, or ${otherwise}`}`,
  );
}

/** Refuses a number of columns other than the data's classes. */
function expectClasses(rows: LogitsRows, data: Dataset): void {
  const { name, classes } = data;
  const { classes: columns, lowestClasses, classNames } = rows;
  // With names, each class is looked up by its name.
  if (classNames !== undefined && lowestClasses <= classNames.length) return;
  if (columns !== null ? columns !== classes : lowestClasses > classes) {
    const got = columns === null ? `the class ${lowestClasses - 1}` : `${columns} columns`;
    throw refused(rows, `expected a column for each of the ${outputsText(data)} of ${name}, got ${got}`);
  }
}

/** The data set that the rows belong to: the training data, or the data set from which they were selected. */
function baseOf(rows: LogitsRows, data: Dataset): Base {
  const bases = basesOf(data).reverse();
  const fitting = bases.filter(({ dataset }) => dataset.length === rows.samples);
  if (fitting.length === 0) throw refused(rows, problemOf(rows.samples, data, bases[0].dataset));
  const { dataHash } = rows;
  const found =
    dataHash === undefined ? fitting[0] : fitting.find(({ dataset }) => fingerprintOf(dataset) === dataHash);
  if (found !== undefined) return found;
  const hash = "by their hash, which depends on split, standardization, text encoding and stream (--stream), too";
  throw refused(
    rows,
    `was computed from other data than ${data.name}, ${hash}: load them as then, or compute it again`,
  );
}

function problemOf(samples: number, data: Dataset, whole: Dataset): string {
  const part = data.length === whole.length ? "" : `, ${data.length} of them to train on`;
  const problem = samples < whole.length ? `row ${samples} is missing` : `row ${whole.length} belongs to none`;
  return `expected a row for each of the ${whole.length} samples of ${data.name}${part}, got ${samples}: ${problem}`;
}

function refused({ name }: LogitsRows, problem: string): DistilleryError {
  return new DistilleryError("BAD_ARGUMENT", `${name}: ${problem}`);
}
