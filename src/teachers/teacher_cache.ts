import { setImmediate } from "node:timers/promises";
import { types } from "node:util";
import { badCheckpoint, fingerprint, inspectCheckpoint, load, save } from "../checkpoint/index.js";
import {
  argumentError,
  badArgument,
  badDtype,
  expectExtension,
  expectOneOf,
  expectOptions,
  expectShape,
  expectSignal,
  show,
} from "../checks.js";
import { type Dataset, expectDataset, fingerprintOf } from "../data/dataset.js";
import { DataLoader } from "../data/loader.js";
import { expectIndices, takeSlice } from "../data/take_batch.js";
import { DistilleryError } from "../errors.js";
import type { WorkProgress } from "../log/progress_line.js";
import { fitNetwork, inputsOf } from "../models/fit_network.js";
import { native } from "../native.js";
import { expectModule } from "../nn/expect_module.js";
import { expectOutput } from "../nn/expect_output.js";
import { withEvalMode } from "../nn/modes.js";
import type { Module } from "../nn/module.js";
import { rowsFor } from "../nn/rows_for.js";
import { PendingCallbacks } from "../pending_callbacks.js";
import { showBytes, showCount } from "../show.js";
import { noGrad } from "../tensor/autograd.js";
import { allocate, emptyCache } from "../tensor/buffer_pool.js";
import { concatenated } from "../tensor/concatenated.js";
import { currentPrecision, expectPrecision, PRECISIONS, type Precision, withPrecision } from "../tensor/precision.js";
import { currentGenerator } from "../tensor/random.js";
import { withArena } from "../tensor/step.js";
import { Tensor } from "../tensor/tensor.js";
import { expectNotStopped, TEACHER_LOGITS, UNCACHEABLE } from "./logits_in_order.js";
import { STANDARDIZED } from "./stored_arrays.js";
import { teacherFingerprint } from "./teacher_fingerprint.js";

/**
 * A teacher's logits for every sample of a data set, computed once in eval mode and stored by the sample's index.
 * Hashes tie it to the teacher's weights, to its text encoding, to the data and to the precision: it is refused for any
 * other.
 *
 * @example
 * ```ts
 * const teacherCache = await TeacherCache.compute(teacher, data);
 * for (const temperature of [2, 4, 8]) {
 *   await distill({ teacher, student: new StudentNet(), data, temperature, teacherCache });
 * }
 * ```
 */
export class TeacherCache {
  readonly samples: number;
  readonly classes: number;

  private constructor(
    private readonly logits: Float32Array,
    readonly teacherHash: string,
    private readonly dataHash: string,
    samples: number,
    /** Whether they are values of a regression, standardised like its targets. */
    private readonly isStandardized: boolean,
    /** The precision of the products of the teacher's linear layers. */
    readonly precision: Precision,
  ) {
    this.samples = samples;
    this.classes = logits.length / samples;
  }

  /**
   * Computes all logits; the event loop gets a turn after each batch.
   *
   * @throws DistilleryError `BAD_ARGUMENT` if there is a {@link TeacherCache.whyNotCacheable} reason, `ABORTED` by the
   * signal.
   */
  static async compute(
    teacher: Module,
    data: Dataset,
    options: { signal?: AbortSignal; precision?: Precision; onWork?: (progress: WorkProgress) => void } = {},
  ): Promise<TeacherCache> {
    expectOptions("TeacherCache.compute", options, ["signal", "precision", "onWork"]);
    const { signal, precision = currentPrecision() } = options;
    expectSignal(signal);
    if (options.onWork !== undefined && typeof options.onWork !== "function") {
      throw badArgument("onWork", "a function", options.onWork);
    }
    const answers = new PendingCallbacks();
    const onWork = answers.of(options.onWork);
    const reason = TeacherCache.whyNotCacheable(teacher, data, precision);
    if (reason !== null) throw argumentError("teacherCache", reason);
    const network = fitNetwork(teacher, data, "teacher");
    const hash = teacherFingerprint(network);
    const logits: Float32Array[] = [];
    const batchSize = rowsFor([network], () => takeSlice(data, 0, 1).inputs);
    const loader = new DataLoader(data, { batchSize });
    for (const batch of loader) {
      onWork?.({ work: TEACHER_LOGITS, done: logits.length, total: loader.length });
      await setImmediate();
      expectNotStopped(signal);
      withArena(() =>
        withPrecision(precision, () => logits.push(forward(network, inputsOf(network, batch)).data.slice())),
      );
    }
    onWork?.({ work: TEACHER_LOGITS, done: loader.length, total: loader.length });
    await answers.settled();
    // The following run needs arrays of other lengths.
    emptyCache();
    const isStandardized = data.targetScale !== undefined;
    return new TeacherCache(concatenated(logits), hash, fingerprintOf(data), data.length, isStandardized, precision);
  }

  /**
   * Logits [samples, classes] that another teacher computed for data in a run's precision; `teacherHash` distinguishes
   * it from others.
   *
   * @throws DistilleryError `SHAPE_MISMATCH` for another number of them, `NON_FINITE` if one is not finite.
   */
  static of(logits: Float32Array, teacherHash: string, data: Dataset, precision: Precision = "float32"): TeacherCache {
    expectDataset(data, "data");
    if (!types.isFloat32Array(logits)) throw badDtype("logits", "a Float32Array", logits);
    expectShape("logits", [logits.length], [data.length * data.classes]);
    const wrong = native.firstNonFinite(logits);
    if (wrong >= 0) {
      throw new DistilleryError("NON_FINITE", `logits[${wrong}]: expected finite numbers, got ${logits[wrong]}`);
    }
    if (typeof teacherHash !== "string" || teacherHash === "") throw badArgument("teacherHash", "a text", teacherHash);
    expectOneOf("precision", precision, PRECISIONS);
    const isStandardized = data.targetScale !== undefined;
    return new TeacherCache(logits, teacherHash, fingerprintOf(data), data.length, isStandardized, precision);
  }

  /**
   * Why a teacher's logits can't be cached; null if they can. They can't if the data are randomly augmented, or if a
   * network draws random numbers in eval mode or its logits depend on the other samples of a batch (tested on three
   * rows, in the run's precision).
   */
  static whyNotCacheable(teacher: Module, data: Dataset, precision: Precision = currentPrecision()): string | null {
    expectModule("teacher", teacher);
    expectDataset(data, "data");
    expectOneOf("precision", precision, PRECISIONS);
    if (data.augmented === true) return UNCACHEABLE.augmented;
    const batch = takeSlice(data, 0, Math.min(3, data.length));
    const { state } = currentGenerator();
    const before = state.slice();
    const network = fitNetwork(teacher, data, "teacher");
    const inputs = inputsOf(network, batch);
    const outputs = (rows: Tensor) => withPrecision(precision, () => forward(network, rows).data);
    const [together, alone] = [inputs, inputs.slice(0, 1)].map(outputs);
    if (before.some((word, i) => word !== state[i])) {
      state.set(before);
      return "the teacher draws random numbers in eval mode";
    }
    const same = alone?.every((x, i) => Object.is(x, together?.[i]));
    return same ? null : UNCACHEABLE.notByRow;
  }

  /**
   * Reads a file written by {@link TeacherCache.save}. The cache stays tied to its teacher and its data.
   *
   * @throws DistilleryError `BAD_CHECKPOINT` if the file is damaged or contains something else, and the errors of
   * {@link load}.
   */
  static async load(file: string): Promise<TeacherCache> {
    const { metadata } = await inspectCheckpoint(file);
    const { logits, ...more } = await load(file, { allowNonFinite: true });
    const { teacherHash = "", dataHash = "", logitsHash } = metadata;
    const [samples, classes, ...further] = logits?.shape ?? [];
    const isLogits =
      logits instanceof Tensor && !!samples && !!classes && further.length + Object.keys(more).length === 0;
    if (!isLogits || teacherHash === "" || dataHash === "") {
      throw badCheckpoint(file, "holds no teacher's logits as TeacherCache.save writes them");
    }
    if (fingerprint({ logits }) !== logitsHash) throw badCheckpoint(file, "is damaged: its checksum is wrong");
    const precision = PRECISIONS.find((known) => known === (metadata.precision ?? "float32"));
    if (precision === undefined)
      throw badCheckpoint(file, `holds logits of an unknown precision ${show(metadata.precision)}`);
    return new TeacherCache(logits.data, teacherHash, dataHash, samples, metadata.unit === STANDARDIZED, precision);
  }

  /**
   * Writes the logits and both hashes as `.safetensors`, for another process or later use. Values of a regression stay
   * standardised, so that the bits are the same later; the metadata then say `unit: "standardized"`, which a run with
   * this file as its teacher reads.
   *
   * @example
   * ```ts
   * const teacherCache = await TeacherCache.compute(teacher, data);
   * await teacherCache.save("teacher_logits.safetensors");
   * const again = await TeacherCache.load("teacher_logits.safetensors");
   * ```
   */
  async save(file: string): Promise<void> {
    expectExtension("file", file, [".safetensors"]);
    const logits = new Tensor(this.logits, [this.samples, this.classes]);
    const { teacherHash, dataHash } = this;
    const metadata = {
      teacherHash,
      dataHash,
      logitsHash: fingerprint({ logits }),
      ...(this.precision !== "float32" && { precision: this.precision }),
    };
    await save({ logits }, file, { metadata: { ...metadata, ...(this.isStandardized && { unit: STANDARDIZED }) } });
  }

  /** Its contents, for a log: `60,000 x 10 logits computed once, 2.40 MB`. */
  toString(): string {
    const size = showBytes(this.logits.byteLength);
    return `${showCount(this.samples)} x ${this.classes} logits computed once, ${size}`;
  }

  /** Refuses a teacher, data or a precision other than those it was computed with; `BAD_ARGUMENT`. @internal */
  expectOf(teacher: Module, data: Dataset, precision: Precision = "float32"): void {
    this.expectPrecision(precision);
    this.expectData(data);
    const network = fitNetwork(teacher, data, "teacher");
    if (teacherFingerprint(network) !== this.teacherHash) throw fromAnother("teacher");
  }

  /** Refuses a precision other than the one it was computed in; `BAD_ARGUMENT`. @internal */
  expectPrecision(precision: Precision): void {
    expectPrecision("teacherCache", this.precision, precision);
  }

  /**
   * Refuses data other than those it was computed from, and augmented versions of them; `BAD_ARGUMENT`. @internal
   * @internal
   */
  expectData(data: Dataset): void {
    if (data.augmented === true || fingerprintOf(data) !== this.dataHash) throw fromAnother("data set");
  }

  /** The logits [n, classes] of the samples of these indices. */
  batch(indices: Int32Array): Tensor {
    expectIndices(indices, this.samples);
    const out = allocate(indices.length * this.classes);
    native.gatherRows(this.logits, indices, out, this.samples, this.classes);
    return new Tensor(out, [indices.length, this.classes]);
  }
}

function fromAnother(what: string): DistilleryError {
  return argumentError("teacherCache", `was computed from another ${what}: compute it again`);
}

function forward(teacher: Module, inputs: Tensor): Tensor {
  const logits = withEvalMode(teacher, () => noGrad(() => expectOutput("teacher", teacher.forward(inputs))));
  expectShape("teacher: logits", logits.shape, [inputs.shape[0], -1]);
  return logits;
}
