import { basename, dirname, extname, join } from "node:path";
import { showList } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData, listFiles } from "../../files/index.js";

/** Which arrays are the data: examples and labels for training, then for testing where they are. */
export type NumpyFamily = readonly [x: string, y: string, testX?: string, testY?: string];

/** The names that arrays go by. */
const FAMILIES: readonly NumpyFamily[] = [
  ["x_train", "y_train", "x_test", "y_test"],
  ["X_train", "y_train", "X_test", "y_test"],
  ["train_images", "train_labels", "test_images", "test_labels"],
  ["x", "y"],
  ["X", "y"],
  ["images", "labels"],
  ["data", "labels"],
  ["data", "target"],
];

/** Arrays by name, wherever they lie. */
export interface ArrayNames {
  /** The file or folder, for errors. */
  readonly source: string;
  readonly names: ReadonlySet<string>;
  /** Where an array lies: a file, or how errors call it. */
  place(name: string): string;
}

/** The `.npy` files among those of a folder. */
export function folderArrays(folder: string, files: ReadonlySet<string>): ArrayNames {
  return { source: folder, names: arrayNames(files), place: (name) => join(folder, `${name}.npy`) };
}

/** Whether a folder with these files has arrays that are read together. */
export function hasNumpyFamily(files: ReadonlySet<string>): boolean {
  return familyOf(arrayNames(files)) !== null;
}

/** The arrays that are the data; `BAD_DATA` with the names that were looked for. */
export function expectFamily({ source, names }: ArrayNames): NumpyFamily {
  const family = familyOf(names);
  if (family !== null) return family;
  const wanted = FAMILIES.map(([x, y]) => `${x} and ${y}`).join("; ");
  throw badData(source, `expected arrays called ${wanted}; it has ${showList([...names].sort(), 8) || "none"}`);
}

/**
 * What goes with a `.npy` file: the family that it is one of, or its labels in `NAME_labels.npy`, `labels.npy` or `y.npy`
 * beside it; `NOT_FOUND` otherwise.
 */
export async function familyOfFile(file: string): Promise<{ arrays: ArrayNames; family: NumpyFamily }> {
  const folder = dirname(file);
  const arrays = folderArrays(folder, await listFiles(folder));
  const stem = basename(file, extname(file));
  const family = FAMILIES.find((names) => names.includes(stem) && isThere(names, arrays.names));
  if (family !== undefined) return { arrays, family: withoutMissing(family, arrays.names) };
  const candidates = [`${stem}_labels`, "labels", "y"].filter((other) => other !== stem);
  const labels = candidates.find((other) => arrays.names.has(other));
  if (labels !== undefined) return { arrays, family: [stem, labels] };
  const wanted = candidates.map((other) => `${other}.npy`).join(", ");
  throw new DistilleryError("NOT_FOUND", `${file}: expected its labels beside it, in one of ${wanted}`);
}

/** Where the examples and the labels of a part lie; `BAD_DATA` where one is missing. */
export function expectPart(arrays: ArrayNames, x: string, y: string): { examplesAt: string; labelsAt: string } {
  const missing = [x, y].find((array) => !arrays.names.has(array));
  if (missing !== undefined) throw badData(arrays.source, `${missing} is missing beside ${missing === x ? y : x}`);
  return { examplesAt: arrays.place(x), labelsAt: arrays.place(y) };
}

function arrayNames(files: ReadonlySet<string>): Set<string> {
  return new Set([...files].filter((file) => file.endsWith(".npy")).map((file) => file.slice(0, -4)));
}

function isThere([x, y]: NumpyFamily, names: ReadonlySet<string>): boolean {
  return names.has(x) && names.has(y);
}

function familyOf(names: ReadonlySet<string>): NumpyFamily | null {
  const family = FAMILIES.find((candidate) => isThere(candidate, names));
  return family === undefined ? null : withoutMissing(family, names);
}

/** A family without its test part where no array of that is there. */
function withoutMissing(family: NumpyFamily, names: ReadonlySet<string>): NumpyFamily {
  const [x, y, testX, testY] = family;
  return [testX, testY].some((name) => name !== undefined && names.has(name)) ? family : [x, y];
}
