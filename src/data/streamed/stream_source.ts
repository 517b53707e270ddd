import { DistilleryError } from "../../errors.js";
import { listFiles } from "../../files/index.js";
import { type Cifar, expectCifarSeen, findCifar } from "../formats/cifar.js";
import { usualNames } from "../formats/class_names.js";
import { findImages } from "../formats/image_files.js";
import type { DataSets } from "../formats/load_data.js";
import { countClasses, noImages } from "../formats/numpy_examples.js";
import {
  type ArrayNames,
  expectFamily,
  expectPart,
  familyOfFile,
  folderArrays,
  type NumpyFamily,
} from "../formats/numpy_family.js";
import { expectSameKind, expectSeen, type ReadSets } from "../formats/read_sets.js";
import { recognise } from "../formats/recognise.js";
import { IDX_FILES } from "../hub/catalog.js";
import { DATASET_NAMES, datasetInfo, findData, notFound } from "../hub/locate.js";
import { type Normalisation, USUAL } from "../statistics.js";
import { openRows } from "./open_streamed.js";
import { type LabelledRows, openCifar, openPair, type RowFormat } from "./stream_formats.js";
import type { StreamedDataset } from "./streamed_dataset.js";

const STREAMED = "IDX files that are not gzipped, CIFAR's binary version and .npy files";
const IN_NUMPY = "np.save of x_train.npy";

/** What is read whole or not at all, and what makes files of it that can be read in pieces. */
const WHOLE = {
  table: ["a table", `${IN_NUMPY}, numbers as float32, and of y_train.npy makes them of a table`],
  npz: ["an archive", "`unzip` makes .npy files of a .npz"],
  pictures: [
    "a folder of pictures",
    `${IN_NUMPY}, pixels as uint8 [n, channels, height, width], and of y_train.npy makes them of pictures`,
  ],
} as const;

/**
 * What {@link loadData} finds, with its values left on the disk: the same parts, names and classes, and the same errors.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a source that can only be read whole, with how to convert it.
 */
export async function streamSource(source: string): Promise<ReadSets | DataSets> {
  if (DATASET_NAMES.includes(source)) return streamKnown(source);
  const found = await recognise(source);
  const { name } = found;
  switch (found.kind) {
    case "idx":
      return streamIdx(source);
    case "cifar":
      return streamCifar(source, found.files, found.version, { name });
    case "arrays": {
      const arrays = folderArrays(source, found.files);
      return streamArrays(arrays, expectFamily(arrays), name);
    }
    case "npy": {
      const { arrays, family } = await familyOfFile(source);
      return streamArrays(arrays, family, name);
    }
    default: {
      const [what, advice] = WHOLE[found.kind];
      const text = `${source} is ${what}, which can't be read in pieces as ${STREAMED} can: ${advice}`;
      throw new DistilleryError("BAD_ARGUMENT", `stream: ${text}`);
    }
  }
}

async function streamKnown(name: string): Promise<ReadSets | DataSets> {
  const known = datasetInfo(name);
  if (known.files === IDX_FILES) return streamIdx(name);
  const found = await findData(name);
  if (found === null) throw notFound(name, known);
  const { folder } = found;
  return streamCifar(folder, await listFiles(folder), name as Cifar, { name, ...USUAL.get(name) });
}

async function streamIdx(source: string): Promise<ReadSets> {
  const { name, paths, normalisation } = await findImages(source);
  const [train, test] = [
    await openPair(paths.trainImages, paths.trainLabels),
    await openPair(paths.testImages, paths.testLabels),
  ];
  const classes = train.labels.reduce((a, b) => Math.max(a, b)) + 1;
  const classNames = source === name ? usualNames(name, classes) : undefined;
  return pairSets(source, train, test, { name, classes, ...normalisation, ...(classNames && { classNames }) });
}

async function streamArrays(arrays: ArrayNames, [x, y, testX, testY]: NumpyFamily, name: string): Promise<ReadSets> {
  const open = async (inputs: string, labels: string) => {
    const { examplesAt, labelsAt } = expectPart(arrays, inputs, labels);
    const format = await openPair(examplesAt, labelsAt);
    if (format.type === "u1" && format.image === null) throw noImages(format.shape, examplesAt);
    return format;
  };
  const train = await open(x, y);
  const test = testX === undefined || testY === undefined ? null : await open(testX, testY);
  return pairSets(arrays.source, train, test, { name, classes: countClasses(train.labels, train.labelsAt) });
}

/** What the two parts of a source share. */
interface Shared {
  readonly name: string;
  readonly classes?: number;
  readonly classNames?: readonly string[];
  readonly mean?: Normalisation["mean"];
  readonly std?: Normalisation["std"];
}

/** The sets of examples with labels in files of their own. */
function pairSets(
  source: string,
  train: LabelledRows,
  test: LabelledRows | null,
  shared: Shared & { classes: number },
): ReadSets {
  if (test !== null) {
    expectSameKind(train, test, test.examplesAt);
    expectSeen(train.labels, test.labels, test.labelsAt);
  }
  const build = async (rows: Int32Array) => {
    const opened = await openRows(train, shared, rows);
    return { train: opened, test: test && (await openAs(opened, test, shared)) };
  };
  return { source, labels: train.labels, classes: shared.classes, hasTest: test !== null, build };
}

async function streamCifar(folder: string, files: ReadonlySet<string>, kind: Cifar, shared: Shared): Promise<DataSets> {
  const { trainFiles, testFile, classNames } = await findCifar(folder, files, kind);
  const all = { ...shared, ...(classNames && { classNames }) };
  const [trainRows, testRows] = [await openCifar(kind, trainFiles), await openCifar(kind, [testFile])];
  const train = await openRows(trainRows, all);
  const test = await openAs(train, testRows, all);
  expectCifarSeen(kind, train.labels.data, test.labels.data, testFile);
  return { name: shared.name, train, test };
}

/** A test part, normalised as the training part is. */
function openAs({ image }: StreamedDataset, test: RowFormat, shared: Shared): Promise<StreamedDataset> {
  return openRows(test, { ...shared, mean: image?.mean, std: image?.std });
}
