import { readWhole } from "../../files/index.js";
import { Tensor } from "../../tensor/tensor.js";
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
import {
  type ArrayNames,
  expectFamily,
  expectPart,
  familyOfFile,
  folderArrays,
  type NumpyFamily,
} from "./numpy_family.js";
import { expectSameKind, expectSeen, ON_DISK, type ReadSets } from "./read_sets.js";

/** Arrays that can be read. */
interface Arrays extends ArrayNames {
  read(name: string): Promise<NpyArray>;
}

interface Part {
  readonly examples: NumpyExamples;
  readonly labels: Int32Array;
  readonly examplesAt: string;
  readonly labelsAt: string;
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
  return readArrays(readable(arrays), expectFamily(arrays), name);
}

/** A `.npy` file with its labels in `NAME_labels.npy`, `labels.npy` or `y.npy` beside it, or one of a family. */
export async function readNpyFile(file: string, name: string): Promise<ReadSets> {
  const { arrays, family } = await familyOfFile(file);
  return readArrays(readable(arrays), family, name);
}

/** `.npy` files, each read when it is asked for. */
function readable(arrays: ArrayNames): Arrays {
  const read = async (name: string) => decodeNpy(await readWhole(arrays.place(name), ON_DISK), arrays.place(name));
  return { ...arrays, read };
}

async function readArrays(arrays: Arrays, [x, y, testX, testY]: NumpyFamily, name: string): Promise<ReadSets> {
  const train = await readPart(arrays, x, y);
  const test = testX === undefined || testY === undefined ? null : await readPart(arrays, testX, testY);
  const classes = countClasses(train.labels, train.labelsAt);
  if (test !== null) {
    expectSameKind(layoutOf(train), layoutOf(test), test.examplesAt);
    expectSeen(train.labels, test.labels, test.labelsAt);
  }
  return sets(arrays.source, name, train, test, classes);
}

async function readPart(arrays: Arrays, x: string, y: string): Promise<Part> {
  const places = expectPart(arrays, x, y);
  const examples = toExamples(await arrays.read(x), places.examplesAt);
  return { examples, labels: toLabels(await arrays.read(y), examples.count, places.labelsAt), ...places };
}

function layoutOf({ examples }: Part) {
  return examples.kind === "image"
    ? { image: examples.size, features: 0 }
    : { image: null, features: examples.features };
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
