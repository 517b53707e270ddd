import { createHash } from "node:crypto";
import { types } from "node:util";
import {
  argumentError,
  badArgument,
  badDtype,
  expectFlags,
  expectLength,
  expectNumber,
  expectOptions,
  expectShape,
} from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { detach, slice } from "../ops/index.js";
import { allocate } from "../tensor/buffer_pool.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { randint, randn } from "../tensor/random.js";
import { numel } from "../tensor/shape.js";
import { expectTensor, Tensor } from "../tensor/tensor.js";
import { type Batch, type Dataset, NO_LABEL, type TableLayout, type ValueLayout } from "./dataset.js";
import { expectClassNames } from "./labels.js";
import { expectTable } from "./preprocessing/spec.js";
import { expectIndices, expectRange, indexRange } from "./take_batch.js";
import { type GivenLabels, readLabels } from "./targets.js";
import type { TaskName } from "./task_name.js";

/** The options of a data set in memory. */
export interface DatasetOptions {
  /** The number of classes; default: the highest label + 1. */
  classes?: number;
  /** The names of the classes, in their order; default: their numbers. */
  classNames?: readonly string[];
  /** What logs call it. */
  name?: string;
  /** Whether samples may have no label, which is then -1: a transfer set. Default false. */
  unlabelled?: boolean;
  /** What networks are trained for; default: a float tensor in place of the labels is the targets of a regression. */
  task?: TaskName;
  /** What standardised the targets; default: they are as they are. */
  targetScale?: ValueLayout;
}

/** The names of {@link DatasetOptions}. */
export const DATASET_OPTIONS = ["classes", "classNames", "name", "unlabelled", "task", "targetScale"] as const;

/** What data sets in memory have in common: labels, checks and batches. Subclasses hold and gather the values. */
export abstract class InMemoryDataset implements Dataset {
  readonly name: string;
  readonly length: number;
  readonly features: number;
  readonly shape: readonly number[];
  readonly classes: number;
  readonly classNames?: readonly string[];
  readonly unlabelled: boolean;
  readonly task?: TaskName;
  readonly targetScale?: ValueLayout;
  readonly replayable = true;
  /** [length]; -1: none. */
  readonly labels: IntTensor;
  /** If the values are ids of texts: a hash of these. @internal */
  readonly textsHash?: string;
  readonly #targets: Tensor | undefined;
  #fingerprint: string | null = null;

  /** `size`: the number of samples; `shape`: that of one. */
  constructor(size: number, shape: readonly number[], labels: GivenLabels, options: DatasetOptions & { name: string }) {
    const {
      name,
      classNames,
      task,
      targetScale,
      classes = expectClassNames(classNames)?.length,
      unlabelled = false,
    } = options;
    expectFlags({ unlabelled });
    const features = numel(shape);
    this.length = expectLength("samples", size);
    this.features = expectLength("features", features);
    this.shape = shape;
    const checked = readLabels(labels, this.length, { classes, task, unlabelled });
    ({ labels: this.labels, classes: this.classes } = checked);
    if (checked.task !== undefined) this.task = checked.task;
    this.#targets = checked.targets;
    if (targetScale !== undefined) this.targetScale = expectLayout("targetScale", targetScale, this.classes);
    this.unlabelled = unlabelled;
    if (classNames !== undefined) this.classNames = expectClassNames(classNames, this.classes);
    if (typeof name !== "string") throw badArgument("name", "a text", name);
    this.name = name;
  }

  /** Writes the values of the samples with these indices. */
  protected abstract gather(indices: Int32Array, out: Float32Array): void;

  /** What the fingerprint is taken over beside the labels: the kind and normalisation in words, and the values. */
  protected abstract content(): { kind: string; values: Uint8Array | Float32Array };

  batch(indices: Int32Array): Batch {
    expectIndices(indices, this.length);
    // Arrays that were transferred to a worker have lost their values.
    expectShape("labels", [this.labels.data.length], [this.length]);
    const inputs = new Tensor(allocate(indices.length * this.features), [indices.length, ...this.shape]);
    this.gather(indices, inputs.data);
    const labels = indices.map((index) => this.labels.data[index]);
    return { inputs, labels: new IntTensor(labels), ...this.#targetsAt(indices), indices };
  }

  slice(start: number, end: number): Batch {
    return this.batch(this.range(start, end));
  }

  /** Taken once: values that change afterwards do not change it. */
  fingerprint(): string {
    if (this.#fingerprint !== null) return this.#fingerprint;
    const { kind, values } = this.content();
    const hash = createHash("sha256").update(`${kind}${layoutText(this)} [${this.length}, ${this.features}]\n`);
    hash.update(values).update(this.labels.data);
    if (this.#targets !== undefined) hash.update(targetsText(this)).update(this.#targets.data);
    this.#fingerprint = hash.digest("hex");
    return this.#fingerprint;
  }

  /** The targets of these samples, if there are any. */
  #targetsAt(indices: Int32Array): Pick<Batch, "targets"> {
    return this.#targets === undefined ? {} : { targets: gatherTargets(this.#targets, indices) };
  }

  /** The targets of the samples `start` to `end`. */
  protected targetsIn(start: number, end: number): Pick<Batch, "targets"> {
    return this.#targets === undefined ? {} : { targets: slice(this.#targets, start, end) };
  }

  /** The indices `start` to `end` (not included). */
  protected range(start: number, end: number): Int32Array {
    expectRange(start, end, this.length);
    return indexRange(start, end);
  }
}

/**
 * Samples in tensors: inputs [n, ...] of any shape, not copied (images are [n, channels, height, width]), and labels
 * [n]; or a float tensor of targets [n] or [n, outputs], of a regression unless `task` says otherwise.
 * `torch.utils.data.TensorDataset`. Samples without labels, for a transfer set: null for the labels, or with
 * `unlabelled` -1 for a label.
 *
 * @throws DistilleryError `SHAPE_MISMATCH`, `LABEL_OUT_OF_RANGE`, and `NON_FINITE` with the row and column, counted
 * from 0.
 * @example
 * ```ts
 * const dataset = new TensorDataset(tensor([[0, 1], [1, 0]]), Int32Array.of(1, 0));
 * dataset.slice(0, 1).inputs.toArray(); // [[0, 1]]
 * ```
 */
export class TensorDataset extends InMemoryDataset {
  /** [length, ...shape], outside of the tape. */
  readonly inputs: Tensor;

  constructor(inputs: Tensor, labels: GivenLabels | null, options: DatasetOptions = {}) {
    if (types.isFloat32Array(inputs) || Array.isArray(inputs)) {
      throw badDtype("inputs", "a Tensor, as tensor(values, { shape: [rows, features] })", inputs);
    }
    expectTensor("inputs", inputs);
    const [size = 0, ...shape] = inputs.shape;
    if (shape.length === 0) expectShape("inputs", inputs.shape, [-1, -1]);
    if (inputs.size === 0) {
      throw argumentError("inputs", `expected at least one sample of one value, got [${inputs.shape.join(", ")}]`);
    }
    expectOptions(new.target.name, options, DATASET_OPTIONS);
    const { name = "tensors", unlabelled = labels === null } = options;
    const given = labels === null ? new Int32Array(size).fill(NO_LABEL) : labels;
    super(size, shape, given, { ...options, name, unlabelled });
    expectFiniteInputs(inputs, this.features);
    this.inputs = detach(inputs);
  }

  protected override gather(indices: Int32Array, out: Float32Array): void {
    native.gatherRows(this.inputs.data, indices, out, this.length, this.features);
  }

  /** Shares memory with the tensors. */
  override slice(start: number, end: number): Batch {
    const indices = this.range(start, end);
    expectShape("inputs", [this.inputs.data.length], [this.length * this.features]);
    expectShape("labels", [this.labels.data.length], [this.length]);
    const values = this.inputs.data.subarray(start * this.features, end * this.features);
    const inputs = new Tensor(values, [end - start, ...this.shape]);
    const labels = new IntTensor(this.labels.data.subarray(start, end));
    return { inputs, labels, ...this.targetsIn(start, end), indices };
  }

  protected override content() {
    const shape = this.shape.length === 1 ? "" : ` of [${this.shape.join(", ")}]`;
    return { kind: `float32${shape}`, values: this.inputs.data };
  }
}

/** The rows of a table as values, with what made them values. */
export class TableDataset extends TensorDataset {
  readonly table: TableLayout;

  constructor(inputs: Tensor, labels: GivenLabels, options: DatasetOptions & { table: TableLayout }) {
    expectOptions("TableDataset", options, ["table", ...DATASET_OPTIONS]);
    const { table, ...shared } = options;
    super(inputs, labels, shared);
    expectTable(table, this.features);
    this.table = table;
  }
}

/** Numbers that were standardised, with what did it. */
export class StandardizedDataset extends TensorDataset {
  readonly values: ValueLayout;

  constructor(inputs: Tensor, labels: GivenLabels, options: DatasetOptions & { values: ValueLayout }) {
    expectOptions("StandardizedDataset", options, ["values", ...DATASET_OPTIONS]);
    const { values, ...shared } = options;
    super(inputs, labels, shared);
    this.values = expectLayout("values", values, this.features);
  }
}

/** Rows of targets, copied. */
export function gatherTargets({ data, shape }: Tensor, indices: Int32Array): Tensor {
  const [rows, width] = shape;
  const out = new Tensor(allocate(indices.length * width), [indices.length, width]);
  native.gatherRows(data, indices, out.data, rows, width);
  return out;
}

/**
 * Part of a fingerprint: how the values were made, and of which texts, because other samples can have the same values.
 */
export function layoutText({ table, values, textsHash }: Dataset & { readonly textsHash?: string }): string {
  const texts = textsHash === undefined ? "" : `, texts ${textsHash}`;
  return `${table ? `, table ${JSON.stringify(table)}` : ""}${values ? `, values ${JSON.stringify(values)}` : ""}${texts}`;
}

/** Part of a fingerprint: the task, and what the targets were standardised by. */
export function targetsText({ task, targetScale }: Pick<Dataset, "task" | "targetScale">): string {
  return `${task} ${JSON.stringify(targetScale ?? null)}\n`;
}

function expectLayout(argument: string, layout: ValueLayout, count: number): ValueLayout {
  expectOptions(argument, layout, ["mean", "std"]);
  for (const name of ["mean", "std"] as const) {
    const list: unknown = layout[name];
    if (!Array.isArray(list)) throw badArgument(`${argument}.${name}`, `a list of ${count} numbers`, list);
    expectShape(`${argument}.${name}`, [list.length], [count]);
    // Networks divide by it in single precision.
    for (const [i, x] of list.entries())
      expectNumber(
        `${argument}.${name}[${i}]`,
        x,
        (y) => name === "mean" || Math.fround(y) > 0,
        "a finite number, a std above 0",
      );
  }
  return layout;
}

function expectFiniteInputs({ data }: Tensor, features: number): void {
  const at = native.firstNonFinite(data);
  if (at < 0) return;
  const location = `row ${Math.floor(at / features)}, column ${at % features}`;
  throw new DistilleryError("NON_FINITE", `inputs: expected finite numbers, got ${data[at]} in ${location}`);
}

/** The size of {@link synthetic} data. */
export interface SyntheticOptions {
  /** Default 1024. */
  samples?: number;
  /** Default 784. */
  features?: number;
  /** Default 10. */
  classes?: number;
}

/**
 * Noise with random labels: `randn([samples, features])`, then `randint(0, classes, [samples])`, drawn from the
 * current stream. The data of the original script: it shows that training works, and teaches nothing.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * manualSeed(0);
 * const dataset = synthetic({ samples: 256 });
 * ```
 */
export function synthetic(options: SyntheticOptions = {}): TensorDataset {
  expectOptions("synthetic", options, ["samples", "features", "classes"]);
  const { samples = 1024, features = 784, classes = 10 } = options;
  expectLength("samples", samples);
  expectLength("features", features);
  expectLength("classes", classes);
  const inputs = randn([samples, features]);
  return new TensorDataset(inputs, randint(0, classes, [samples]), { classes, name: "synthetic" });
}
