import { createHash } from "node:crypto";
import * as v from "valibot";
import { MAX_LENGTH } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { badData } from "../files/index.js";
import { expected, integer } from "../registry/index.js";
import { type Dataset, fingerprintOf } from "./dataset.js";
import { DerivedDataset, sourceOf } from "./derived_dataset.js";
import { SELECTION, type Selection, Subset, stratify } from "./split.js";
import { indexRange } from "./take_batch.js";
import { strataOf } from "./targets.js";

/** Which samples of a source a data set has: ties a network to the samples that it was trained on. */
export interface DataOrigin {
  /** What logs call the source. */
  readonly name: string;
  /** SHA-256 in hex over the samples and labels of the source, before anything was measured or held out. */
  readonly hash: string;
  /** The number of samples of the source. */
  readonly samples: number;
  /** What was chosen of them, one after the other: parts of splits, or samples by their indices as bits in base64. */
  readonly selections: readonly (Selection | { readonly bits: string })[];
}

const SHA_256 = /^[0-9a-f]{64}$/;
const HASHES = new WeakMap<Dataset, () => string>();

/** Notes what the samples of a source hash to, for a data set whose fingerprint depends on what was measured too. */
export function setSourceHash<D extends Dataset>(dataset: D, compute: () => string): D {
  let hash: string | undefined;
  HASHES.set(dataset, () => {
    hash ??= compute();
    return hash;
  });
  return dataset;
}

/** Where the samples of a data set come from. Random changes of them, as augmentation makes, do not count. */
export function originOf(dataset: Dataset): DataOrigin {
  const { dataset: source, indices } = sourceOf(dataset);
  const { name, length: samples } = source;
  const hash = HASHES.get(source)?.() ?? sha256Of(fingerprintOf(source));
  const selections = selectionsOf(dataset) ?? [{ bits: bitsOf(indices, samples) }];
  return { name, hash, samples, selections };
}

/** The text itself if it is a SHA-256 in hex, as the fingerprint of a data set of one's own need not be. */
function sha256Of(text: string): string {
  return SHA_256.test(text) ? text : createHash("sha256").update(text).digest("hex");
}

/** How many samples of a data set are of an origin, such as those that a network was trained on. */
export function countSamplesOf(origin: DataOrigin, dataset: Dataset): number {
  const { dataset: source, indices } = sourceOf(dataset);
  if (!isSource(origin, source)) return 0;
  const chosen = new Uint8Array(source.length);
  for (const index of chosenIn(origin, source)) chosen[index] = 1;
  return indices.reduce((count, index) => count + chosen[index], 0);
}

/** Whether a data set is the source of an origin, whole. */
export function isSource(origin: DataOrigin, dataset: Dataset): boolean {
  return dataset.length === origin.samples && originOf(dataset).hash === origin.hash;
}

/** The part of the source that was held out as a test set; null if none was. */
export function testPartOf({ selections }: DataOrigin, source: Dataset): Subset | null {
  const [first] = selections;
  if (first === undefined || "bits" in first || first.of !== "test") return null;
  const { part: _, of: __, ...split } = first;
  const { strata, count } = strataOf(source);
  const { heldOut } = stratify(strata, count, split, source.unlabelled === true);
  return new Subset(source, heldOut, { ...first, part: "heldOut" });
}

/** Null if one of them was made by hand. */
function selectionsOf(dataset: Dataset): Selection[] | null {
  if (!(dataset instanceof DerivedDataset)) return [];
  const before = selectionsOf(dataset.dataset);
  if (before === null || !(dataset instanceof Subset)) return before;
  return dataset.selection === undefined ? null : [...before, dataset.selection];
}

/** The indices in the source that are left after all selections. */
function chosenIn({ selections }: DataOrigin, source: Dataset): Int32Array {
  const { strata, count } = strataOf(source);
  return selections.reduce(
    (indices, selection) => {
      if ("bits" in selection) {
        const bits = Buffer.from(selection.bits, "base64");
        return indices.filter((_, i) => ((bits[i >> 3] >> (i & 7)) & 1) === 1);
      }
      const { part, of: _, ...split } = selection;
      const own = indices.map((index) => strata[index]);
      return stratify(own, count, split, source.unlabelled === true)[part].map((i) => indices[i]);
    },
    indexRange(0, source.length),
  );
}

function bitsOf(indices: Int32Array, length: number): string {
  const bits = new Uint8Array(Math.ceil(length / 8));
  for (const index of indices) bits[index >> 3] |= 1 << (index & 7);
  return Buffer.from(bits).toString("base64");
}

const count = () => integer(0, MAX_LENGTH);
const ORIGIN = v.object(
  {
    name: v.string(),
    hash: v.pipe(v.string(), v.regex(SHA_256)),
    samples: count(),
    selections: v.array(v.union([v.object({ bits: v.string() }), v.object(SELECTION)])),
  },
  expected("name, hash, samples and selections"),
);

/** A {@link DataOrigin} out of JSON, all of it checked; `BAD_DATA` with the file. */
export function parseOrigin(value: unknown, file: string): DataOrigin {
  const { success, output, issues } = v.safeParse(ORIGIN, value);
  if (success) return output;
  const path = v.getDotPath(issues[0]);
  throw badData(file, `the data it was trained on${path ? `, ${path}` : ""}: ${issues[0].message}`);
}

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
