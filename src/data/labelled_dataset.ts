import { createHash } from "node:crypto";
import { expectInteger, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { IntTensor, type Labels } from "../tensor/int_tensor.js";
import { allocate } from "../tensor/memory.js";
import { Tensor } from "../tensor/tensor.js";
import type { Batch, Dataset } from "./dataset.js";
import { expectIndices, expectRange, indexRange } from "./indices.js";
import { checkLabels, expectClassNames } from "./labels.js";

/** The options of a data set in memory. */
export interface DatasetOptions {
  /** The number of classes; default: the highest label + 1. */
  classes?: number;
  /** The names of the classes, in their order; default: their numbers. */
  classNames?: readonly string[];
  /** What logs call it. */
  name?: string;
}

/** What data sets in memory have in common: labels, checks and batches; how values are picked is theirs. */
export abstract class LabelledDataset implements Dataset {
  readonly name: string;
  readonly length: number;
  readonly features: number;
  readonly classes: number;
  readonly classNames?: readonly string[];
  /** [length]. */
  readonly labels: IntTensor;
  #fingerprint: string | null = null;

  constructor(shape: readonly [number, number], labels: Labels, options: DatasetOptions & { name: string }) {
    const { name, classNames, classes = expectClassNames(classNames)?.length } = options;
    this.length = expectInteger("examples", shape[0], 1, 2 ** 31 - 1);
    this.features = expectInteger("features", shape[1], 1, 2 ** 31 - 1);
    ({ labels: this.labels, classes: this.classes } = checkLabels(labels, this.length, classes));
    if (classNames !== undefined) this.classNames = expectClassNames(classNames, this.classes);
    if (typeof name !== "string") throw new DistilleryError("BAD_ARGUMENT", `name: expected a text, got ${show(name)}`);
    this.name = name;
  }

  /** Writes the values of the examples of these indices. */
  protected abstract gather(indices: Int32Array, out: Float32Array): void;

  /** What the fingerprint is taken over beside the labels: the kind and normalisation in words, and the values. */
  protected abstract content(): { kind: string; values: Uint8Array };

  batch(indices: Int32Array): Batch {
    expectIndices(indices, this.length);
    const inputs = new Tensor(allocate(indices.length * this.features), [indices.length, this.features]);
    this.gather(indices, inputs.data);
    const labels = indices.map((index) => this.labels.data[index] as number);
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

/** The memory of an array, byte by byte. */
export function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
