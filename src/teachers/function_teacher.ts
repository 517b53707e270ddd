import { createHash } from "node:crypto";
import { join } from "node:path";
import { types } from "node:util";
import { argumentError, badArgument, expectInteger, expectNumber, expectOptions, expectPath, show } from "../checks.js";
import { type Batch, type Dataset, fingerprintOf } from "../data/dataset.js";
import { type RawSample, samplesOf } from "../data/preprocessing/encode.js";
import { takeBatch } from "../data/take_batch.js";
import { expectUnrounded, outputText, standardized } from "../data/targets.js";
import type { DistilleryError } from "../errors.js";
import type { Outputs } from "../losses/loss.js";
import { rowOf } from "../slices.js";
import { unrecorded } from "../tensor/autograd.js";
import { Tensor } from "../tensor/tensor.js";
import { settling } from "../unsettled.js";
import { noteAccuracy } from "./accuracy_note.js";
import { expectNotAugmented } from "./by_index.js";
import { ofRuns } from "./for_run.js";
import { LogitsStore } from "./logits_store.js";
import { RETRIES, type RetryOptions, retry } from "./retry.js";
import { runConcurrently, unlessStopped } from "./run_concurrently.js";
import { expectFiniteLogits, logitsAt } from "./sample_logits.js";
import type { PreparedRun, Teacher, TeacherRun } from "./teacher.js";

/** The samples that a function is called with. */
export interface TeacherBatch extends Batch {
  /**
   * The samples before preprocessing: the cells of a table by column, or the bytes of images, channel after channel;
   * otherwise the values.
   */
  readonly samples: readonly RawSample[];
  /** Aborted when the run is stopped, when the loop over its epochs is left, and when it ends. */
  readonly signal: AbortSignal;
}

/**
 * Logits for the samples of a batch: a list of numbers for each, one flat array, or a tensor [n, classes]; or an object
 * with hidden outputs too.
 */
export type TeacherAnswer = readonly Row[] | Float32Array | Tensor | Outputs;
type Row = readonly number[] | Float32Array | Float64Array;

/**
 * Returns the teacher's logits for the samples of a batch, for example from an HTTP API, transformers.js or a tree
 * ensemble. The answer for a sample must not depend on the others.
 */
export type TeacherFunction = (batch: TeacherBatch) => TeacherAnswer | Promise<TeacherAnswer>;

/** How a function is called, and what happens to its answers. */
export interface FunctionTeacherOptions extends RetryOptions {
  /** Samples per call; default 64. */
  batchSize?: number;
  /** Concurrent calls; default 4. */
  concurrency?: number;
  /**
   * The folder in which each answer is stored immediately, so that no run asks twice; default: `teacher_answers` in the
   * run's `out`, or memory if there is none. False: it is called at each step, one batch at a time, with the augmented
   * samples.
   */
  answers?: string | false;
  /** Distinguishes its answers from those of other functions; default: the function's text. */
  version?: string;
}

export const FUNCTION_DEFAULTS = { batchSize: 64, concurrency: 4, retries: RETRIES } as const;
/** The milliseconds between notes about the number of answers. */
const SAY_EVERY_MS = 10_000;
const NAMES = ["batchSize", "concurrency", "answers", "version", "retries", "backoff"];

/**
 * A function as a teacher. It is called once for each sample of the training data, in the order of their indices,
 * before the first step; a resumed run asks about the remaining ones. Since it may know only the training data, no
 * agreement on the validation set is reported. Randomly augmented data are refused unless `answers` is false.
 *
 * @throws DistilleryError `BAD_ARGUMENT`, with the index of the sample, for an answer with the wrong length or numbers
 * that are not finite, and for an error of the function.
 * @example
 * ```ts
 * const teacher = functionTeacher(async ({ samples, signal }) => fetchLogits(samples, signal), { concurrency: 8, retries: 5 });
 * await distill({ teacher, student, data, out: "runs/api" });
 * ```
 */
export function functionTeacher(ask: TeacherFunction, options: FunctionTeacherOptions = {}): Teacher {
  if (typeof ask !== "function") {
    throw badArgument("teacher", "a function of the batch", ask);
  }
  expectOptions("functionTeacher", options, NAMES);
  const {
    batchSize = FUNCTION_DEFAULTS.batchSize,
    concurrency = FUNCTION_DEFAULTS.concurrency,
    retries,
    backoff,
    answers,
    version = ask.toString(),
  } = options;
  expectInteger("batchSize", batchSize, 1);
  expectInteger("concurrency", concurrency, 1, 1024);
  if (retries !== undefined) expectInteger("retries", retries, 0);
  if (backoff !== undefined) expectNumber("backoff", backoff, (x) => x >= 0, "a number of milliseconds");
  if (answers !== undefined && answers !== false) expectPath("answers", answers, "a folder, or false");
  if (typeof version !== "string") throw badArgument("version", "a text", version);
  return ofRuns(() => new FunctionTeacher(ask, { ...options, batchSize, concurrency, version }));
}

type Resolved = FunctionTeacherOptions &
  Required<Pick<FunctionTeacherOptions, "batchSize" | "concurrency" | "version">>;

class FunctionTeacher implements Teacher {
  readonly name: string;
  #data: Dataset | null = null;
  #isKept = true;
  /** [samples, classes] */
  #answers: Float32Array | null = null;
  #signal: AbortSignal = new AbortController().signal;

  constructor(
    private readonly ask: TeacherFunction,
    private readonly options: Resolved,
  ) {
    this.name = ask.name || "function";
  }

  fingerprint(): string {
    return createHash("sha256").update(this.options.version).digest("hex");
  }

  open({ data, taps }: TeacherRun): void {
    this.#answers = null;
    // Hidden outputs are too large to be stored.
    this.#isKept = this.options.answers !== false && taps.length === 0;
    if (this.#isKept) expectNotAugmented(data, this.name, "answers: false (--no-teacher-answers) asks at each step");
    this.#data = data;
  }

  async prepare({ fromFirst = (compute) => compute(), ...run }: PreparedRun): Promise<void> {
    const data = this.#data;
    this.#signal = run.signal ?? this.#signal;
    if (data !== null && this.#isKept) this.#answers = await fromFirst(() => this.#askAll(data, run));
  }

  async #askAll(data: Dataset, { out, onNote }: PreparedRun): Promise<Float32Array> {
    const signal = this.#signal;
    const { batchSize, concurrency, answers: folder } = this.options;
    const key = createHash("sha256")
      .update(`${this.fingerprint()} ${fingerprintOf(data)}`)
      .digest("hex");
    const of = { key, samples: data.length, classes: data.classes };
    // The text of a bound function, or of one not written in JavaScript, does not identify it.
    const isTold = !this.options.version.endsWith("{ [native code] }");
    const kept = typeof folder === "string" ? folder : out === null || !isTold ? null : join(out, "teacher_answers");
    const answers = await LogitsStore.open(of, kept);
    try {
      const missing = answers.missing();
      if (answers.count > 0) onNote?.(`teacher: ${answers.count} of ${data.length} answers are in ${answers.file}`);
      const batches = Array.from({ length: Math.ceil(missing.length / batchSize) }, (_, i) =>
        missing.slice(i * batchSize, (i + 1) * batchSize),
      );
      let said = performance.now();
      await runConcurrently(batches, concurrency, signal, async (indices) => {
        const { logits } = await this.#asked(data, takeBatch(data, indices));
        await answers.add(indices, logits.data);
        if (signal.aborted || performance.now() - said < SAY_EVERY_MS) return;
        said = performance.now();
        onNote?.(`teacher: ${answers.count} of ${data.length} answers`);
      });
      await noteAccuracy(this.name, data, onNote, (index) => rowOf(answers.values, index, data.classes));
      return answers.values;
    } finally {
      await answers.close();
    }
  }

  outputs(batch: Batch): Outputs | Promise<Outputs> {
    const [answers, data] = [this.#answers, this.#data];
    if (answers === null || data === null) {
      const asked = this.#asked(data, batch);
      return types.isPromise(asked) ? unlessStopped(asked, this.#signal) : asked;
    }
    return logitsAt(batch.indices, data.classes, (index, out) => out.set(rowOf(answers, index, data.classes)));
  }

  #asked(data: Dataset | null, batch: Batch): Outputs | Promise<Outputs> {
    return retry(
      () => this.#answer(data, batch),
      this.options,
      () => samplesText(batch.indices),
      this.#signal,
    );
  }

  #answer(data: Dataset | null, batch: Batch): Outputs | Promise<Outputs> {
    const { inputs, labels, indices } = batch;
    let samples: RawSample[] | null = null;
    const question = {
      inputs,
      labels,
      indices,
      signal: this.#signal,
      // Computed on demand: few functions read them, and for a table they take long.
      get samples() {
        samples ??= data === null ? [] : samplesOf(data, batch);
        return samples;
      },
    };
    // Without recording, the output of a network for a sample is the same in any batch.
    const given = unrecorded(() => this.ask(question));
    return types.isPromise(given)
      ? settling(given, () => `teacher: ${samplesText(indices)}`).then((answer) => asOutputs(answer, indices, data))
      : asOutputs(given, indices, data);
  }
}

/** Values of a regression come in the unit of their columns. */
function scaled(outputs: Outputs, data: Dataset | null): Outputs {
  const { logits } = outputs;
  if (data?.targetScale === undefined) return outputs;
  expectUnrounded("teacher", data);
  return { ...outputs, logits: new Tensor(standardized(logits.data, data.targetScale), logits.shape) };
}

function asOutputs(given: TeacherAnswer, indices: Int32Array, of: Dataset | null): Outputs {
  const outputs = toOutputs(given, indices, of);
  const { shape, data } = outputs.logits;
  if (of === null) return outputs;
  const { classes } = of;
  if (shape.length !== 2 || shape[0] !== indices.length || shape[1] !== classes) {
    throw wrong(indices, `expected logits [${indices.length}, ${classes}], got [${shape.join(", ")}]`);
  }
  expectFiniteLogits("teacher", data, classes, indices);
  return outputs;
}

function toOutputs(given: TeacherAnswer, indices: Int32Array, data: Dataset | null): Outputs {
  const classes = data?.classes ?? null;
  if (given instanceof Tensor) return scaled({ logits: given, taps: {} }, data);
  if (types.isFloat32Array(given)) {
    const width = classes ?? given.length / indices.length;
    if (given.length === indices.length * width)
      return scaled({ logits: new Tensor(given, [indices.length, width]), taps: {} }, data);
    const wanted = `${indices.length} x ${width} = ${indices.length * width} numbers`;
    throw wrong(indices, `expected ${wanted}, got ${given.length}`);
  }
  if (isRows(given)) return { logits: fromRows(given, indices, data), taps: {} };
  if (given?.logits instanceof Tensor) return scaled(given.taps ? given : { ...given, taps: {} }, data);
  throw wrong(indices, `expected ${FORM}, got ${show(given)}`);
}

const FORM = "a list of numbers for each sample, as [[0.1, 2.5, -1], ...], or a Float32Array of them all";

const isRows = (given: TeacherAnswer): given is readonly Row[] => Array.isArray(given);

function fromRows(rows: readonly unknown[], indices: Int32Array, data: Dataset | null): Tensor {
  if (rows.length !== indices.length) {
    const flat = typeof rows[0] === "number" ? `: expected ${FORM}` : "";
    throw wrong(indices, `expected ${indices.length} rows, one for each sample, got a list of ${rows.length}${flat}`);
  }
  const width = data?.classes ?? (rows[0] as Row | null)?.length ?? 0;
  const output = outputText(data ?? {});
  // Standardised in double precision.
  const all = new Float64Array(rows.length * width);
  for (const [i, row] of rows.entries()) {
    if (!Array.isArray(row) && !types.isFloat32Array(row) && !types.isFloat64Array(row)) {
      throw wrong(indices.subarray(i, i + 1), `expected ${FORM}, got ${show(row)}`);
    }
    if (row.length !== width) {
      throw wrong(indices.subarray(i, i + 1), `expected ${width} numbers, one for each ${output}, got ${row.length}`);
    }
    const at = row.findIndex((x) => typeof x !== "number");
    if (at >= 0) throw wrong(indices.subarray(i, i + 1), `${output} ${at}: expected a number, got ${show(row[at])}`);
    all.set(row, i * width);
  }
  return new Tensor(Float32Array.from(standardized(all, data?.targetScale)), [rows.length, width]);
}

function wrong(indices: Int32Array, problem: string): DistilleryError {
  return argumentError("teacher", `${samplesText(indices)}: ${problem}`);
}

function samplesText(indices: Int32Array): string {
  if (indices.length === 1) return `sample ${indices[0]}`;
  const isAscending = indices.every((index, i) => i === 0 || index > indices[i - 1]);
  return isAscending
    ? `samples ${indices[0]} to ${indices[indices.length - 1]}`
    : `a batch of ${indices.length} samples with sample ${indices[0]} first`;
}
