import { createHash } from "node:crypto";
import { expectInteger, expectOptions, showList } from "../checks.js";
import { expectClassNames } from "../data/labels.js";
import type { DistilleryError } from "../errors.js";
import { badData } from "../files/index.js";
import { turns } from "../slices.js";
import { byIndex, type LogitsRows } from "./by_index.js";
import { namesOf } from "./class_columns.js";
import { openStoredArrays, type StoredArray } from "./stored_arrays.js";
import type { Teacher } from "./teacher.js";

/** How {@link logitsFile} reads a file. */
export interface LogitsFileOptions {
  /** The names of the classes in the order of the columns; default: those in the file, otherwise the data's order. */
  classes?: readonly string[];
  /**
   * The maximum size of the logits, in bytes of float32, that is held in memory; larger ones are read from disk by
   * index. Default 2^29.
   */
  memory?: number;
}

/**
 * The logits in a `.npy`, `.npz` or `.safetensors` file as a teacher: `logits` [samples, classes], or `ids` and
 * `logprobs` [samples, k], whose remaining probability is spread evenly over the other classes. A single array may have
 * any name. Log-probabilities are logits. For a regression they are the teacher's values [samples, targets], or
 * [samples], in the unit of the columns; in a file of `TeacherCache.save` they are standardised, as its metadata say.
 * Row i belongs to sample i of the source, in the order of its file, or of the training data that are passed.
 *
 * All numbers are checked when the file is opened. The number of rows, the classes and, if the file has it, the hash of
 * the data are checked when a run starts. A run in float32 refuses logits that, according to the file, were computed in
 * bfloat16. Randomly augmented data are refused.
 *
 * @throws DistilleryError `BAD_DATA` or `BAD_CHECKPOINT` with the file, the row and the column, `NOT_FOUND`,
 * `IO_ERROR`; `BAD_ARGUMENT` in a run that the file does not fit.
 * @example
 * ```ts
 * await distill({ teacher: await logitsFile("logits.npy"), student, data });
 * ```
 */
export async function logitsFile(file: string, options: LogitsFileOptions = {}): Promise<Teacher> {
  expectOptions("logitsFile", options, ["classes", "memory"]);
  const { memory = 2 ** 29 } = options;
  expectInteger("memory", memory, 0);
  const { arrays, classNames, dataHash, precision, isStandardized = false } = await openStoredArrays(file);
  const source = sourceOf(file, arrays);
  const classes = source.classes ?? undefined;
  const names = namesOf(file, namesIn(file, classNames, classes), expectClassNames(options.classes, classes));
  const { hash, values } = await scan(source, memory);
  const rows: LogitsRows = {
    name: file,
    samples: source.samples,
    classes: source.classes,
    hash,
    lowestClasses: source.lowestClasses(),
    ...(names && { classNames: names }),
    dataHash,
    precision,
    isStandardized,
    read(index, out) {
      if (values !== null) source.expand(values, index * source.width, out);
      else source.expand(source.read(index, index + 1), 0, out);
    },
  };
  return byIndex("file", rows);
}

/** What a file says about its classes; mistakes in it are reported as mistakes of the file. */
function namesIn(file: string, names: readonly string[] | undefined, classes: number | undefined) {
  try {
    return expectClassNames(names, classes);
  } catch (error) {
    throw badData(file, (error as DistilleryError).message, error);
  }
}

/** Rows of a file, and how they become logits. */
interface Source {
  readonly samples: number;
  /** Null: as many as the data have. */
  readonly classes: number | null;
  /** The numbers of a row, its ids included. */
  readonly width: number;
  /** The rows `start` to `end`, checked. */
  read(start: number, end: number): Float32Array;
  /** The logits of the row that begins at `at`. */
  expand(values: Float32Array, at: number, out: Float32Array): void;
  /** The least number of classes that what was read allows. */
  lowestClasses(): number;
}

function sourceOf(file: string, arrays: ReadonlyMap<string, StoredArray>): Source {
  const [ids, logprobs] = [arrays.get("ids"), arrays.get("logprobs")];
  if (ids !== undefined && logprobs !== undefined) return topK(expectMatrix(ids), expectMatrix(logprobs));
  const logits = arrays.get("logits") ?? (arrays.size === 1 ? [...arrays.values()][0] : undefined);
  if (logits !== undefined) return dense(expectMatrix(logits));
  const has = showList([...arrays.keys()].sort()) || "none";
  throw badData(file, `expected an array logits [samples, classes], or ids and logprobs [samples, k]; it has ${has}`);
}

function expectMatrix(array: StoredArray): StoredArray {
  const { where, shape } = array;
  // One target a sample, as scikit-learn's predict gives it.
  if (shape.length === 1 && shape[0] > 0)
    return { ...array, shape: [shape[0], 1], read: (start, end) => array.read(start, end) };
  if (shape.length === 2 && shape[0] > 0 && shape[1] > 0) return array;
  throw badData(where, `expected a shape of [samples, classes], got [${shape.join(", ")}]`);
}

function dense(logits: StoredArray): Source {
  const [samples, width] = logits.shape;
  return {
    samples,
    width,
    classes: width,
    read: (start, end) => finite(logits, start, end),
    expand: (values, at, out) => out.set(values.subarray(at, at + width)),
    lowestClasses: () => width,
  };
}

/** The remaining probability if the named ones sum to 1: float32's rounding error. */
const MIN_REST = 2 ** -24;
/** The maximum sum of probabilities in half precision. */
const MAX = 1 + 2e-3;

function topK(ids: StoredArray, logprobs: StoredArray): Source {
  const [samples, k] = logprobs.shape;
  if (ids.shape[0] !== samples || ids.shape[1] !== k) {
    throw badData(ids.where, `expected the shape of logprobs, [${samples}, ${k}], got [${ids.shape.join(", ")}]`);
  }
  let highest = -1;
  return {
    samples,
    width: 2 * k,
    classes: null,
    read(start, end) {
      const [classes, logs] = [ids.read(start, end), finite(logprobs, start, end)];
      const values = new Float32Array(2 * k * (end - start));
      for (let row = start; row < end; row++) {
        const own = Array.from({ length: k }, (_, j) => Number(classes[(row - start) * k + j]));
        const wrong = own.findIndex(
          (id, j) => !Number.isInteger(id) || id < 0 || id >= 2 ** 24 || own.indexOf(id) !== j,
        );
        if (wrong >= 0) {
          throw badData(ids.where, `row ${row}, column ${wrong}: expected classes, each once, got ${own[wrong]}`);
        }
        const named = logs.subarray((row - start) * k, (row - start + 1) * k);
        const sum = named.reduce((total, log) => total + Math.exp(log), 0);
        if (!(sum <= MAX)) {
          const text = `row ${row}: expected log-probabilities, got numbers whose exponentials sum to ${sum.toPrecision(4)}`;
          throw badData(logprobs.where, text);
        }
        values.set(own, (row - start) * 2 * k);
        values.set(named, (row - start) * 2 * k + k);
        for (const id of own) highest = Math.max(highest, id);
      }
      return values;
    },
    expand(values, at, out) {
      let rest = 1;
      for (let j = 0; j < k; j++) rest -= Math.exp(values[at + k + j]);
      out.fill(Math.log(Math.max(rest, MIN_REST) / Math.max(1, out.length - k)));
      for (let j = 0; j < k; j++) out[values[at + j]] = values[at + k + j];
    },
    lowestClasses: () => Math.max(k, highest + 1),
  };
}

function finite({ where, shape, read }: StoredArray, start: number, end: number): Float32Array {
  const given = read(start, end);
  const values = given instanceof Float32Array ? given : Float32Array.from(given, Number);
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    const place = `row ${start + Math.floor(i / shape[1])}, column ${i % shape[1]}`;
    // The log-probability of a class that a tree has never seen.
    const advice = values[i] === Number.NEGATIVE_INFINITY ? ": np.maximum(logits, -30) keeps it nearly impossible" : "";
    throw badData(where, `${place}: expected a finite number of float32's range, got ${given[i]}${advice}`);
  }
  return values;
}

/** Numbers that are read before the event loop gets a turn. */
const TURN = 2 ** 18;

/** Reads all rows once: checks and hashes them, and keeps them if there are not too many. */
async function scan(source: Source, memory: number): Promise<{ hash: string; values: Float32Array | null }> {
  const { samples, width } = source;
  const values = 4 * samples * width <= memory ? new Float32Array(samples * width) : null;
  const hash = createHash("sha256").update(JSON.stringify([samples, width, source.classes]));
  const step = Math.max(1, Math.floor(TURN / width));
  for await (const [start, end] of turns(samples, step)) {
    const part = source.read(start, end);
    values?.set(part, start * width);
    hash.update(part);
  }
  return { hash: hash.digest("hex"), values };
}
