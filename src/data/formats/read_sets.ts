import { badData } from "../../files/index.js";
import type { Dataset } from "../dataset.js";
import { indexRange } from "../dataset.js";
import type { ImageSize } from "../image_dataset.js";
import { stratify } from "../split.js";
import { Subset } from "../subset.js";

/** What can be done with a file that is too large to be read at once. */
export const ON_DISK = "stream (--stream) leaves it on the disk";

interface Parts {
  readonly train: Dataset;
  readonly test: Dataset | null;
}

/** What a reader found, before anything is measured. */
export interface ReadSets {
  /** The file or folder, for errors. */
  readonly source: string;
  /** The classes of the training part's examples [n]. */
  readonly labels: Int32Array;
  readonly classes: number;
  readonly hasTest: boolean;
  /** Makes the data sets; what values are normalised with is measured over these rows of the training part. */
  build(rows: Int32Array): Parts | Promise<Parts>;
}

/** How a test part is taken from a source that has none. */
export interface TestSplit {
  /** Of the examples; 0: none is taken. */
  readonly testFraction: number;
  readonly splitSeed: number;
}

/**
 * The data sets of a source: with its own test part, or with a share of each class set aside before anything is
 * measured. `test` is null where the source has none and the share is 0.
 */
export async function finish(sets: ReadSets, { testFraction, splitSeed }: TestSplit): Promise<Parts> {
  const { source, labels, classes, hasTest } = sets;
  if (hasTest || testFraction === 0) return sets.build(indexRange(0, labels.length));
  if (new Set(labels).size === labels.length) {
    throw badData(source, "no class has two examples, one of which could be set aside for testing");
  }
  const { train: rows, heldOut } = stratify(labels, classes, { fraction: testFraction, seed: splitSeed });
  const { train: whole } = await sets.build(rows);
  return { train: new Subset(whole, rows), test: new Subset(whole, heldOut) };
}

/** Refuses a test label of a class that no training example has: one that no model can have learnt. */
export function expectSeen(
  training: Uint8Array | Int32Array,
  testing: Uint8Array | Int32Array,
  file: string,
  placeOf = (at: number) => `label ${at}`,
): void {
  const seen = new Set<number>(training);
  const at = testing.findIndex((label) => !seen.has(label));
  if (at >= 0) throw badData(file, `${placeOf(at)}: class ${testing[at]} is not in the training set`);
}

/** Images of a size, or values where `image` is null. */
interface Layout {
  readonly image: ImageSize | null;
  readonly features: number;
}

/** Refuses test examples that are not as those for training are. */
export function expectSameKind(train: Layout, test: Layout, file: string): void {
  const [expected, got] = [train, test].map(kindOf);
  if (got !== expected) throw badData(file, `expected ${expected}, as for training, got ${got}`);
}

function kindOf({ image, features }: Layout): string {
  if (image === null) return `${features} values an example`;
  return `images of ${image.channels} x ${image.height} x ${image.width}`;
}
