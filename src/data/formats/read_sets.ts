import { badData } from "../bad_data.js";
import type { Dataset } from "../dataset.js";
import { indexRange } from "../indices.js";
import { stratify } from "../split.js";
import { Subset } from "../subset.js";

/** What a reader found, before anything is measured. */
export interface ReadSets {
  /** The file or folder, for errors. */
  readonly source: string;
  /** The classes of the training part's examples [n]. */
  readonly labels: Int32Array;
  readonly classes: number;
  readonly hasTest: boolean;
  /** Makes the data sets; what values are normalised with is measured over these rows of the training part. */
  build(rows: Int32Array): { train: Dataset; test: Dataset | null };
}

/** How a test part is taken from a source that has none. */
export interface TestSplit {
  /** Of the examples; 0: none is taken. */
  readonly testShare: number;
  readonly splitSeed: number;
}

/**
 * The data sets of a source: with its own test part, or with a share of each class set aside before anything is
 * measured. `test` is null where the source has none and the share is 0.
 */
export function finish(sets: ReadSets, { testShare, splitSeed }: TestSplit): { train: Dataset; test: Dataset | null } {
  const { source, labels, classes, hasTest } = sets;
  if (hasTest || testShare === 0) return sets.build(indexRange(0, labels.length));
  if (new Set(labels).size === labels.length) {
    throw badData(source, "no class has two examples, one of which could be set aside for testing");
  }
  const { train: rows, held } = stratify(labels, classes, { share: testShare, seed: splitSeed });
  const { train: whole } = sets.build(rows);
  return { train: new Subset(whole, rows), test: new Subset(whole, held) };
}

/** Where a test label first names a class that no training example has: one that no model can have learnt; or -1. */
export function firstUnseen(training: ArrayLike<number>, testing: ArrayLike<number>): number {
  const seen = new Set(Array.from(training));
  return Array.from(testing).findIndex((label) => !seen.has(label));
}
