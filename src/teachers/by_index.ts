import { show } from "../checks.js";
import type { Batch, Dataset } from "../data/dataset.js";
import { type Base, basesOf } from "../data/derived_dataset.js";
import { DistilleryError } from "../errors.js";
import type { Outputs } from "../losses/loss.js";
import { allocate } from "../tensor/buffer_pool.js";
import { Tensor } from "../tensor/tensor.js";
import type { Teacher, TeacherRun } from "./teacher.js";

/** Logits by the index of a sample, in memory or on the disk. */
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
  /** Tells them from others. */
  readonly hash: string;
  /** The logits of a sample, one for each class. */
  read(index: number, out: Float32Array): void;
}

/** Logits that are there, by the index of each sample, as a teacher; also for a validation set of the same source. */
export function byIndex(name: string, rows: LogitsRows): Teacher {
  return new ByIndex(name, rows);
}

class ByIndex implements Teacher {
  /** Where each sample of the training data is among the rows. */
  #training: Int32Array | null = null;
  #validation: Int32Array | null = null;
  #classes = 0;

  constructor(
    readonly name: string,
    private readonly rows: LogitsRows,
  ) {}

  fingerprint(): string {
    return this.rows.hash;
  }

  open({ data, taps, validation = null }: TeacherRun): void {
    const { rows } = this;
    if (taps.length > 0) {
      const text = `its logits have no output of the module "${taps[0]}", which the loss reads: give the network`;
      throw refused(rows, text);
    }
    expectNotAugmented(data, rows.name);
    expectClasses(rows, data);
    const { dataset, indices } = baseOf(rows, data);
    this.#training = indices;
    this.#classes = data.classes;
    const same = validation === null ? undefined : basesOf(validation).find((base) => base.dataset === dataset);
    this.#validation = same?.indices ?? null;
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
    const classes = this.#classes;
    const logits = allocate(indices.length * classes);
    for (let i = 0; i < indices.length; i++) {
      this.rows.read(places[indices[i]], logits.subarray(i * classes, (i + 1) * classes));
    }
    return { logits: new Tensor(logits, [indices.length, classes]), taps: {} };
  }
}

/** Refuses data whose samples change at random, for a teacher whose answers are fixed. */
export function expectNotAugmented(data: Dataset, teacher: string, otherwise?: string): void {
  if (data.augmented !== true) return;
  const text = "the data are augmented at random, and its answers are those of the samples as they are";
  throw new DistilleryError(
    "BAD_ARGUMENT",
    `teacher: ${teacher}: ${text}: leave the augmentation out${otherwise === undefined ? "" : `, or ${otherwise}`}`,
  );
}

/** Refuses columns that are not the data's classes in their order. */
function expectClasses(rows: LogitsRows, { name, classes, classNames }: Dataset): void {
  const { classes: columns, lowestClasses, classNames: names } = rows;
  if (columns !== null ? columns !== classes : lowestClasses > classes) {
    const got = columns === null ? `the class ${lowestClasses - 1}` : `${columns} columns`;
    throw refused(rows, `expected a column for each of the ${classes} classes of ${name}, got ${got}`);
  }
  expectClassOrder(rows.name, names, { name, classes, classNames });
}

/** Refuses a teacher whose outputs are other classes than the data's, or in another order. */
export function expectClassOrder(
  teacher: string,
  names: readonly string[] | undefined,
  { name, classes, classNames }: Pick<Dataset, "name" | "classes" | "classNames">,
): void {
  if (names === undefined) return;
  const refuse = (problem: string) => new DistilleryError("BAD_ARGUMENT", `${teacher}: ${problem}`);
  if (names.length !== classes) throw refuse(`names ${names.length} classes, ${name} has ${classes}`);
  const own = classNames ?? names.map((_, i) => String(i));
  const wrong = names.findIndex((given, i) => given !== own[i]);
  if (wrong < 0) return;
  const text = `column ${wrong} is the class ${show(names[wrong])}, but class ${wrong} of ${name} is ${show(own[wrong])}`;
  throw refuse(`${text}: put the columns in the data's order`);
}

/** The data set that the rows belong to: the training data, or what they are a part of. */
function baseOf(rows: LogitsRows, data: Dataset): Base {
  const bases = basesOf(data).reverse();
  const fitting = bases.filter(({ dataset }) => dataset.length === rows.samples);
  if (fitting.length === 0) throw refused(rows, problemOf(rows.samples, data, bases[0].dataset));
  const { dataHash } = rows;
  const found = dataHash === undefined ? fitting[0] : fitting.find(({ dataset }) => dataset.fingerprint() === dataHash);
  if (found !== undefined) return found;
  throw refused(rows, `was computed from other data than ${data.name}, by their hash: compute it again`);
}

function problemOf(samples: number, data: Dataset, whole: Dataset): string {
  const part = data.length === whole.length ? "" : `, ${data.length} of them to train on`;
  const problem = samples < whole.length ? `row ${samples} is missing` : `row ${whole.length} belongs to none`;
  return `expected a row for each of the ${whole.length} samples of ${data.name}${part}, got ${samples}: ${problem}`;
}

function refused({ name }: LogitsRows, problem: string): DistilleryError {
  return new DistilleryError("BAD_ARGUMENT", `${name}: ${problem}`);
}
