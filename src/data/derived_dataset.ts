import type { IntTensor } from "../tensor/int_tensor.js";
import {
  type Batch,
  type Dataset,
  expectDataset,
  fingerprintOf,
  type ImageLayout,
  type TableLayout,
  type ValueLayout,
} from "./dataset.js";
import { indexRange } from "./take_batch.js";
import type { TaskName } from "./task_name.js";

/** A data set made of another one, whose names, classes and layout it passes on. */
export abstract class DerivedDataset implements Dataset {
  /** What it is made of. */
  readonly dataset: Dataset;
  readonly name: string;
  readonly features: number;
  readonly shape?: readonly number[];
  readonly classes: number;
  readonly augmented?: boolean;
  readonly mixed?: boolean;
  readonly unlabelled?: boolean;
  readonly task?: TaskName;
  readonly targetScale?: ValueLayout;
  readonly replayable?: boolean;
  readonly classNames?: readonly string[];
  readonly image?: ImageLayout;
  readonly table?: TableLayout;
  readonly values?: ValueLayout;
  readonly texts?: (indices: Int32Array) => readonly string[];
  /** The samples of the base that are read together. */
  readonly chunk?: number;
  #fingerprint: string | null = null;

  constructor(dataset: Dataset) {
    const {
      name,
      features,
      shape,
      classes,
      augmented,
      mixed,
      unlabelled,
      task,
      targetScale,
      replayable,
      classNames,
      image,
      table,
      values,
      chunk,
    } = expectDataset(dataset);
    this.dataset = dataset;
    this.name = name;
    this.features = features;
    this.shape = shape;
    this.classes = classes;
    this.augmented = augmented;
    this.mixed = mixed;
    this.unlabelled = unlabelled;
    this.task = task;
    this.targetScale = targetScale;
    this.replayable = replayable;
    this.classNames = classNames;
    this.image = image;
    this.table = table;
    this.values = values;
    this.chunk = chunk;
    if (dataset.texts !== undefined) this.texts = (indices) => dataset.texts?.(this.inBase(indices)) ?? [];
  }

  abstract get length(): number;
  abstract get labels(): IntTensor | undefined;
  abstract chunkOf(index: number): number;
  abstract batch(indices: Int32Array): Batch;
  abstract slice(start: number, end: number): Batch;

  /** Computed once, when first asked for. */
  fingerprint(): string {
    this.#fingerprint ??= this.hash(fingerprintOf(this.dataset));
    return this.#fingerprint;
  }

  /** The indices in the base of samples of this data set. */
  inBase(indices: Int32Array): Int32Array {
    return indices;
  }

  /** SHA-256 in hex over the base's fingerprint and what this data set does with it. */
  protected abstract hash(base: string): string;
}

/** A data set that another one is made of (or that one itself), and the index in it of each sample of the other. */
export interface Base {
  readonly dataset: Dataset;
  readonly indices: Int32Array;
}

/** The data set, what it is made of, and so on to the samples of the source. */
export function basesOf(dataset: Dataset): Base[] {
  let base: Base = { dataset, indices: indexRange(0, dataset.length) };
  const bases = [base];
  while (base.dataset instanceof DerivedDataset) {
    base = { dataset: base.dataset.dataset, indices: base.dataset.inBase(base.indices) };
    bases.push(base);
  }
  return bases;
}

/** The data set that everything was chosen from, and which of its samples a data set has. */
export function sourceOf(dataset: Dataset): Base {
  return basesOf(dataset).at(-1) as Base;
}
