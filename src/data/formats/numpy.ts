import { basename, dirname, extname, join } from "node:path";
import { DistilleryError } from "../../errors.js";
import { listFiles, readWhole } from "../../files/index.js";
import { Tensor } from "../../tensor/tensor.js";
import { badData } from "../bad_data.js";
import { listed } from "../inputs/cells.js";
import { TensorDataset } from "../tensor_dataset.js";
import { imageSets } from "./image_sets.js";
import { decodeNpy, type NpyArray } from "./npy.js";
import {
  countClasses,
  type NumpyExamples,
  type NumpyImages,
  type NumpyValues,
  toExamples,
  toLabels,
} from "./numpy_examples.js";
import { firstUnseen, type ReadSets } from "./read_sets.js";

/** The names that arrays go by: examples and labels for training, then for testing where they are. */
const FAMILIES: readonly (readonly [x: string, y: string, testX?: string, testY?: string])[] = [
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
interface Arrays {
  /** The file or folder, for errors. */
  readonly source: string;
  readonly names: ReadonlySet<string>;
  /** How errors call an array. */
  place(name: string): string;
  read(name: string): Promise<NpyArray>;
}

/** Which arrays are the data. */
type Names = readonly [x: string, y: string, testX?: string, testY?: string];

interface Part {
  readonly examples: NumpyExamples;
  readonly labels: Int32Array;
  readonly examplesAt: string;
  readonly labelsAt: string;
}

/** Whether a folder with these files has arrays that are read together. */
export function hasNumpyFamily(files: ReadonlySet<string>): boolean {
  return familyOf(arrayNames(files)) !== null;
}

/** The arrays of a `.npz` archive: `x_train`, `y_train` and, where they are, `x_test`, `y_test`; or `x`, `y`, ... */
export async function readNpz(file: string, name: string): Promise<ReadSets> {
  const { openNpz } = await import("./npz.js");
  const archive = await openNpz(await readWhole(file), file);
  const arrays = { source: file, place: (array: string) => `${file}: ${array}`, ...archive };
  return readArrays(arrays, expectFamily(arrays), name);
}

/** The `.npy` files of a folder that go by the same names. */
export async function readNumpyFolder(folder: string, files: ReadonlySet<string>, name: string): Promise<ReadSets> {
  const arrays = folderArrays(folder, files);
  return readArrays(arrays, expectFamily(arrays), name);
}

/** A `.npy` file with its labels in `NAME_labels.npy`, `labels.npy` or `y.npy` beside it, or one of a family. */
export async function readNpyFile(file: string, name: string): Promise<ReadSets> {
  const folder = dirname(file);
  const arrays = folderArrays(folder, await listFiles(folder));
  const stem = basename(file, extname(file));
  const family = FAMILIES.find((names) => names.includes(stem) && isThere(names, arrays.names));
  if (family !== undefined) return readArrays(arrays, withoutMissing(family, arrays.names), name);
  const candidates = [`${stem}_labels`, "labels", "y"].filter((other) => other !== stem);
  const labels = candidates.find((other) => arrays.names.has(other));
  if (labels !== undefined) return readArrays(arrays, [stem, labels], name);
  const wanted = candidates.map((other) => `${other}.npy`).join(", ");
  throw new DistilleryError("NOT_FOUND", `${file}: expected its labels beside it, in one of ${wanted}`);
}

function folderArrays(folder: string, files: ReadonlySet<string>): Arrays {
  const place = (name: string) => join(folder, `${name}.npy`);
  const read = async (name: string) => decodeNpy(await readWhole(place(name)), place(name));
  return { source: folder, names: arrayNames(files), place, read };
}

function arrayNames(files: ReadonlySet<string>): Set<string> {
  return new Set([...files].filter((file) => file.endsWith(".npy")).map((file) => file.slice(0, -4)));
}

function isThere([x, y]: Names, names: ReadonlySet<string>): boolean {
  return names.has(x) && names.has(y);
}

function familyOf(names: ReadonlySet<string>): Names | null {
  const family = FAMILIES.find((candidate) => isThere(candidate, names));
  return family === undefined ? null : withoutMissing(family, names);
}

/** A family without its test part where no array of that is there. */
function withoutMissing(family: Names, names: ReadonlySet<string>): Names {
  const [x, y, testX, testY] = family;
  return [testX, testY].some((name) => name !== undefined && names.has(name)) ? family : [x, y];
}

function expectFamily(arrays: Arrays): Names {
  const family = familyOf(arrays.names);
  if (family !== null) return family;
  const wanted = FAMILIES.map(([x, y]) => `${x} and ${y}`).join("; ");
  throw badData(
    arrays.source,
    `expected arrays called ${wanted}; it has ${listed([...arrays.names].sort(), 8) || "none"}`,
  );
}

async function readArrays(arrays: Arrays, [x, y, testX, testY]: Names, name: string): Promise<ReadSets> {
  const train = await readPart(arrays, x, y);
  const test = testX === undefined || testY === undefined ? null : await readPart(arrays, testX, testY);
  const classes = countClasses(train.labels, train.labelsAt);
  if (test !== null) expectFits(train, test);
  return sets(arrays.source, name, train, test, classes);
}

async function readPart(arrays: Arrays, x: string, y: string): Promise<Part> {
  const missing = [x, y].find((array) => !arrays.names.has(array));
  if (missing !== undefined) throw badData(arrays.source, `${missing} is missing beside ${missing === x ? y : x}`);
  const [examplesAt, labelsAt] = [arrays.place(x), arrays.place(y)];
  const examples = toExamples(await arrays.read(x), examplesAt);
  return { examples, labels: toLabels(await arrays.read(y), examples.count, labelsAt), examplesAt, labelsAt };
}

function expectFits(train: Part, test: Part): void {
  const [expected, got] = [train, test].map(({ examples }) => sizeOf(examples));
  if (got !== expected) throw badData(test.examplesAt, `expected ${expected}, as for training, got ${got}`);
  const at = firstUnseen(train.labels, test.labels);
  if (at >= 0) throw badData(test.labelsAt, `label ${at}: class ${test.labels[at]} is not in the training set`);
}

function sizeOf(examples: NumpyExamples): string {
  if (examples.kind === "values") return `${examples.features} values an example`;
  const { channels, height, width } = examples.size;
  return `images of ${channels} x ${height} x ${width}`;
}

function sets(source: string, name: string, train: Part, test: Part | null, classes: number): ReadSets {
  if (train.examples.kind === "image") {
    const images = ({ examples, labels }: Part) => ({ pixels: (examples as NumpyImages).pixels, labels });
    const { size } = train.examples;
    return imageSets({ source, size, classes, train: images(train), test: test && images(test) }, name);
  }
  const values = ({ examples, labels }: Part) => {
    const { count, features, values } = examples as NumpyValues;
    return new TensorDataset(new Tensor(values, [count, features]), labels, { name, classes });
  };
  const build = () => ({ train: values(train), test: test && values(test) });
  return { source, labels: train.labels, classes, hasTest: test !== null, build };
}
