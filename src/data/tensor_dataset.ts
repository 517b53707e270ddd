import { createHash } from "node:crypto";
import { expectInteger, expectObject, expectOptions, expectShape, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { detach, slice } from "../ops/index.js";
import { allocate } from "../tensor/buffer_pool.js";
import { IntTensor, type Labels } from "../tensor/int_tensor.js";
import { expectTensor, Tensor } from "../tensor/tensor.js";
import {
  type Batch,
  checkLabels,
  type Dataset,
  expectClassNames,
  expectIndices,
  expectRange,
  indexRange,
  NO_LABEL,
  type TableLayout,
  type ValueLayout,
} from "./dataset.js";

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
}

/** The names of {@link DatasetOptions}. */
export const DATASET_OPTIONS = ["classes", "classNames", "name", "unlabelled"] as const;

/** What data sets in memory have in common: labels, checks and batches. Subclasses hold and gather the values. */
export abstract class InMemoryDataset implements Dataset {
  readonly name: string;
  readonly length: number;
  readonly features: number;
  readonly shape: readonly number[];
  readonly classes: number;
  readonly classNames?: readonly string[];
  readonly unlabelled: boolean;
  readonly replayable = true;
  /** [length]; -1: none. */
  readonly labels: IntTensor;
  #fingerprint: string | null = null;

  /** `size`: the number of samples; `shape`: that of one. */
  constructor(size: number, shape: readonly number[], labels: Labels, options: DatasetOptions & { name: string }) {
    const { name, classNames, classes = expectClassNames(classNames)?.length, unlabelled = false } = options;
    const features = shape.reduce((product, length) => product * length, 1);
    this.length = expectInteger("samples", size, 1, 2 ** 31 - 1);
    this.features = expectInteger("features", features, 1, 2 ** 31 - 1);
    this.shape = shape;
    ({ labels: this.labels, classes: this.classes } = checkLabels(labels, this.length, classes, unlabelled));
    this.unlabelled = unlabelled;
    if (classNames !== undefined) this.classNames = expectClassNames(classNames, this.classes);
    if (typeof name !== "string") throw new DistilleryError("BAD_ARGUMENT", `name: expected a text, got ${show(name)}`);
    this.name = name;
  }

  /** Writes the values of the samples with these indices. */
  protected abstract gather(indices: Int32Array, out: Float32Array): void;

  /** What the fingerprint is taken over beside the labels: the kind and normalisation in words, and the values. */
  protected abstract content(): { kind: string; values: Uint8Array };

  batch(indices: Int32Array): Batch {
    expectIndices(indices, this.length);
    const inputs = new Tensor(allocate(indices.length * this.features), [indices.length, this.features]);
    this.gather(indices, inputs.data);
    const labels = indices.map((index) => this.labels.data[index]);
    return { inputs, labels: new IntTensor(labels), indices };
  }

  slice(start: number, end: number): Batch {
    return this.batch(this.range(start, end));
  }

  /** Taken once: values that change afterwards do not change it. */
  fingerprint(): string {
    if (this.#fingerprint !== null) return this.#fingerprint;
    const { kind, values } = this.content();
    const hash = createHash("sha256").update(`${kind} [${this.length}, ${this.features}]\n`);
    this.#fingerprint = hash.update(values).update(bytesOf(this.labels.data)).digest("hex");
    return this.#fingerprint;
  }

  /** The indices `start` to `end` (not included). */
  protected range(start: number, end: number): Int32Array {
    expectRange(start, end, this.length);
    return indexRange(start, end);
  }
}

/**
 * Samples in tensors: inputs [n, features], not copied, and labels [n]. `torch.utils.data.TensorDataset`. Samples without
 * labels, for a transfer set: null for the labels, or with `unlabelled` -1 for a label.
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
  /** [length, features], outside of the tape. */
  readonly inputs: Tensor;

  constructor(inputs: Tensor, labels: Labels | null, options: DatasetOptions = {}) {
    expectTensor("inputs", inputs);
    expectShape("inputs", inputs.shape, [-1, -1]);
    expectOptions(new.target.name, options, DATASET_OPTIONS);
    const [size, features] = inputs.shape;
    const { name = "tensors", unlabelled = labels === null } = options;
    super(size, [features], labels ?? new Int32Array(size).fill(NO_LABEL), { ...options, name, unlabelled });
    expectFinite(inputs, this.features);
    this.inputs = detach(inputs);
  }

  protected override gather(indices: Int32Array, out: Float32Array): void {
    native.gatherRows(this.inputs.data, indices, out, this.length, this.features);
  }

  /** Shares memory with the tensors. */
  override slice(start: number, end: number): Batch {
    const indices = this.range(start, end);
    return { inputs: slice(this.inputs, start, end), labels: this.labels.slice(start, end), indices };
  }

  protected override content() {
    return { kind: "float32", values: bytesOf(this.inputs.data) };
  }
}

/** The rows of a table as values, with what made them values. */
export class TableDataset extends TensorDataset {
  readonly table: TableLayout;

  constructor(inputs: Tensor, labels: Labels, options: DatasetOptions & { table: TableLayout }) {
    expectObject("TableDataset", options);
    const { table, ...shared } = options;
    super(inputs, labels, shared);
    this.table = table;
  }
}

/** Numbers that were standardised, with what did it. */
export class StandardizedDataset extends TensorDataset {
  readonly values: ValueLayout;

  constructor(inputs: Tensor, labels: Labels, options: DatasetOptions & { values: ValueLayout }) {
    expectObject("StandardizedDataset", options);
    const { values, ...shared } = options;
    super(inputs, labels, shared);
    this.values = values;
  }
}

/** The memory of an array, byte by byte. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

function expectFinite({ data }: Tensor, features: number): void {
  const at = native.firstNonFinite(data);
  if (at < 0) return;
  const location = `row ${Math.floor(at / features)}, column ${at % features}`;
  throw new DistilleryError("NON_FINITE", `inputs: expected finite numbers, got ${data[at]} in ${location}`);
}
