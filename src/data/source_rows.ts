import { DistilleryError } from "../errors.js";
import type { Dataset } from "./dataset.js";
import { sourceOf } from "./derived_dataset.js";

/** Where a sample was read. */
export interface SourceRow {
  readonly file: string;
  /** Counted from 1; the first of several. */
  readonly line: number;
  /** The text itself, of a table of texts. */
  readonly text?: string;
}

/** Reads a row of a file again. */
export type ReadSourceRow = (row: number) => SourceRow;

const READERS = new WeakMap<Dataset, ReadSourceRow>();

/** Notes how the rows that became the samples of a data set are found in their file. */
export function setSourceRows<D extends Dataset>(dataset: D, read: ReadSourceRow | undefined): D {
  if (read !== undefined) READERS.set(dataset, read);
  return dataset;
}

/** Where these samples were read; null without a file of rows, or if it is not as it was. */
export function sourceRowsOf(dataset: Dataset, samples: Int32Array): SourceRow[] | null {
  const { dataset: source, indices } = sourceOf(dataset);
  const read = READERS.get(source);
  if (read === undefined) return null;
  try {
    return Array.from(samples, (sample) => read(indices[sample]));
  } catch (error) {
    if (error instanceof DistilleryError) return null;
    throw error;
  }
}
