import { createHash } from "node:crypto";
import { badArgument, expectOptions, expectPath } from "../checks.js";
import type { Batch, Dataset } from "../data/dataset.js";
import { takeSlice } from "../data/take_batch.js";
import { DistilleryError } from "../errors.js";
import { readWhole } from "../files/index.js";
import type { Outputs } from "../losses/loss.js";
import { showCount } from "../show.js";
import { rowOf, turns } from "../slices.js";
import { Tensor } from "../tensor/tensor.js";
import { noteAccuracy, noteProbabilities } from "./accuracy_note.js";
import { ofRuns } from "./for_run.js";
import { expectNotStopped, notCached, UNCACHEABLE } from "./logits_in_order.js";
import type { TeacherInputs } from "./onnx_inputs.js";
import { OnnxNetwork, type OnnxSetting } from "./onnx_network.js";
import { expectOnnxOptions } from "./options.js";
import { logitsAt } from "./sample_logits.js";
import type { PreparedRun, Teacher, TeacherRun } from "./teacher.js";

/** How an ONNX network is used. */
export interface OnnxTeacherOptions {
  /** The name of its input; default: the only one, or the one that samples fit. */
  input?: string;
  /** The name of its output; default: the only one, or the one with a number for each class. */
  output?: string;
  /** What pixels / 255, or a table's numbers, are normalised with; default: as the file says, or as for the student. */
  mean?: number | readonly number[];
  std?: number | readonly number[];
  /** The rows and columns that images are resized to, or one number for both; default: as they are. */
  size?: number | readonly [height: number, width: number];
  /** The names of the classes in the order of its outputs; default: as the file says, or the data's order. */
  classes?: readonly string[];
}

const NAMES = ["input", "output", "mean", "std", "size", "classes"];
/** Rows per batch if the network accepts any number. */
const BATCH = 256;
/** The maximum number of bytes of logits that are cached. */
const MAX_KEPT = 2 ** 31;
const PREFETCH_DEPTH = 2;
/**
 * How much the logits of a network that treats each row alone may differ from batch to batch, as a fraction of the
 * largest.
 */
const ROUNDING = 1e-3;

/**
 * A network in an ONNX file as a teacher, run by ONNX Runtime on the CPU: the package `onnxruntime-node`, which is
 * installed beside Distillery. Images are fed as [channels, height, width], [height, width, channels] or flat,
 * depending on its input; a grey image as three equal channels. Its batch size may be fixed. Logits are computed once
 * for each sample if that is exact, as for a network of Distillery's.
 *
 * A file that {@link saveOnnx} wrote records what it was trained with: columns and classes are matched by name, numbers
 * are fed as the file takes them (raw, or standardised by its own statistics), and texts are encoded as it reads them.
 * Any other file gets the values that the student gets, for a table the standardised ones, unless `mean` and `std` say
 * otherwise: 0 and 1 feed the raw numbers.
 *
 * @throws DistilleryError `BAD_ARGUMENT` if the package is not installed, and for data that it does not fit; `BAD_DATA`
 * for a file that ONNX Runtime can't read; `NOT_FOUND`, `IO_ERROR`.
 * @example
 * ```ts
 * const teacher = await onnxTeacher("resnet.onnx", { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], size: 224 });
 * await distill({ teacher, student, data });
 * ```
 */
export async function onnxTeacher(file: string, options: OnnxTeacherOptions = {}): Promise<Teacher> {
  expectPath("file", file);
  expectOptions("onnxTeacher", options, NAMES);
  const { mean, std, size, classes, ...rest } = options;
  if (classes !== undefined && !(Array.isArray(classes) && classes.every((name) => typeof name === "string"))) {
    throw badArgument("classes", "a list of texts", classes);
  }
  const lists = { ...(mean !== undefined && { mean: [mean].flat() }), ...(std !== undefined && { std: [std].flat() }) };
  expectOnnxOptions({ ...rest, ...lists, size });
  const inputs: TeacherInputs = {
    ...lists,
    ...(size !== undefined && { size: typeof size === "number" ? [size, size] : size }),
  };
  const bytes = await readWhole(file);
  const network = await OnnxNetwork.open(file, bytes, { ...rest, inputs, classes });
  const hash = createHash("sha256")
    .update(JSON.stringify([network.hashes, options]))
    .digest("hex");
  const isPlain = inputs.mean === undefined && inputs.std === undefined;
  return ofRuns(() => new OnnxTeacher(file, hash, network, isPlain));
}

class OnnxTeacher implements Teacher {
  readonly name = "onnx";
  #setting: OnnxSetting | null = null;
  /** [samples, classes], if they were computed before. */
  #kept: Float32Array | null = null;
  readonly #running: Promise<Outputs>[] = [];

  constructor(
    private readonly file: string,
    private readonly hash: string,
    private readonly network: OnnxNetwork,
    /** Whether no option says how its inputs are normalised. */
    private readonly isPlain: boolean,
  ) {}

  fingerprint(): string {
    return this.hash;
  }

  open({ data, taps }: TeacherRun): void {
    const { file } = this;
    if (taps.length > 0) {
      const text = `${file}: has no output of the module "${taps[0]}", which the loss reads: give a network of Distillery's`;
      throw new DistilleryError("BAD_ARGUMENT", text);
    }
    this.#setting = this.network.settingFor(data);
    this.#kept = null;
  }

  /** Computes the logits of all samples if that is exact. */
  async prepare({ once = false, signal, onNote }: PreparedRun): Promise<void> {
    const setting = this.#setting;
    if (setting === null) return;
    const { data } = setting;
    if (this.network.record === null && this.isPlain && (data.table ?? data.values) !== undefined) {
      const raw = "mean 0 and std 1 (--teacher-mean 0 --teacher-std 1) feed it the numbers as they are";
      onNote?.(`teacher: ${this.file} is fed the standardised values that the student gets: ${raw}`);
    }
    // Also detects inputs that it can't process, before anything is written.
    const together = await this.network.run(setting, takeSlice(data, 0, Math.min(3, data.length)));
    const bytes = 4 * data.length * data.classes;
    const alone = await this.network.run(setting, takeSlice(data, 0, 1));
    if (once) this.#noteRows(data, onNote, alone, together);
    if (once || data.augmented === true || bytes > MAX_KEPT) return;
    const isSame = (logits: Float32Array) => alone.every((x, i) => Object.is(x, logits[i]));
    if (!isSame(together)) {
      const isRandom = !isSame(await this.network.run(setting, takeSlice(data, 0, 1)));
      return onNote?.(notCached(isRandom ? "the teacher's logits are others each time" : UNCACHEABLE.notByRow));
    }
    const kept = new Float32Array(data.length * data.classes);
    for await (const [start, end] of turns(data.length, BATCH)) {
      expectNotStopped(signal);
      kept.set(await this.network.run(setting, takeSlice(data, start, end)), start * data.classes);
    }
    this.#kept = kept;
    onNote?.(`teacher: ${showCount(data.length)} x ${data.classes} logits computed once`);
    const { classes } = data;
    await noteAccuracy(this.file, data, onNote, (index) => rowOf(kept, index, classes));
  }

  /** Warns if outputs are not logits, or depend on other samples. */
  #noteRows(data: Dataset, onNote: PreparedRun["onNote"], alone: Float32Array, together: Float32Array): void {
    noteProbabilities(this.file, data, onNote, together);
    const most = ROUNDING * alone.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
    if (alone.every((x, i) => Math.abs(x - together[i]) <= most)) return;
    onNote?.(`warning: teacher: ${this.file}: ${UNCACHEABLE.notByRow}, or are others each time`);
  }

  outputs(batch: Batch): Outputs | Promise<Outputs> {
    const [kept, setting] = [this.#kept, this.#opened()];
    if (kept === null) return this.#running.shift() ?? this.evaluate(batch);
    const { classes } = setting.data;
    return logitsAt(batch.indices, classes, (index, out) => out.set(rowOf(kept, index, classes)));
  }

  async evaluate(batch: Batch): Promise<Outputs> {
    const setting = this.#opened();
    const logits = await this.network.run(setting, batch);
    return { logits: new Tensor(logits, [batch.indices.length, setting.data.classes]), taps: {} };
  }

  prefetch(batch: Batch): void {
    if (this.#kept !== null) return;
    const outputs = this.evaluate(batch);
    // Whoever takes it learns of its failure.
    outputs.catch(() => {});
    this.#running.push(outputs);
  }

  prefetchDepth(): number {
    return this.#kept === null ? PREFETCH_DEPTH : 0;
  }

  discard(): void {
    this.#running.length = 0;
  }

  close(): void {
    this.discard();
    this.#kept = null;
  }

  #opened(): OnnxSetting {
    if (this.#setting === null) throw new DistilleryError("INTERNAL", `${this.file}: was not opened`);
    return this.#setting;
  }
}
