import { dirname, extname, join } from "node:path";
import { argumentError } from "../../checks.js";
import { badData, kindOf, listFiles, readWhole } from "../../files/index.js";
import { countClasses, countKnown, expectSeen } from "../labels.js";
import { encodeSamples } from "../preprocessing/encode.js";
import type { ImagePreprocessing, ValuePreprocessing } from "../preprocessing/spec.js";
import { expectSameKind, ON_DISK, type RawData, type RawPart } from "../raw_data.js";
import { featuresOf, type MemoryRows } from "../row_source.js";
import { hasTargets, type TaskName, taskNameOf } from "../task_name.js";
import { type Format, numbered, type OpenOptions, type SampleReader } from "./format.js";
import { decodeNpy, type NpyArray, openNpyFile, openNpz } from "./npy.js";
import { BY_UNIQUE, type NpyRows, streamRows, taskOfArray, toLabels, toRows, toTargets } from "./npy_samples.js";
import {
  expectFamily,
  expectNoOtherPart,
  type Family,
  familyBeside,
  familyOf,
  validationFamily,
} from "./part_names.js";

/** How a `.npy` file begins. */
const MAGIC_BYTE = 0x93;

/**
 * NumPy's arrays: a `.npz` archive, a `.npy` file with its labels beside it, or a folder of `.npy` files. Unsigned
 * bytes are images; a matrix of other numbers has columns, which are standardised as those of a table; numbers of more
 * axes are taken as they are.
 */
export const numpy: Format = {
  name: "numpy",
  help: "a .npz or .npy file, a folder of .npy files",
  extensions: [".npz", ".npy"],
  takes: ["unlabelled", "standardize", "task", "mean", "std"],
  folder: "x_train.npy and y_train.npy",
  detect: ({ files }) => familyOf(arrayNames(files)) !== null,

  async open(path, { stream, ...labels }): Promise<RawData> {
    const isFolder = (await kindOf(path)) === "folder";
    const isArchive = !isFolder && extname(path).toLowerCase() === ".npz";
    if (isArchive && stream) {
      const text = `${path} is an archive, which can't be read in pieces: \`unzip\` makes .npy files of a .npz`;
      throw argumentError("stream", text);
    }
    if (isArchive) return openArrays(await archiveArrays(path), labels);
    if (isFolder) return openArrays(folderArrays(path, await listFiles(path), stream), labels);
    const { arrays, family } = await arraysBeside(path, stream);
    return openArrays(arrays, labels, family);
  },

  pair: {
    help: "a .npy file",
    begins: ([first]) => first === MAGIC_BYTE,
    openSamples: async (file) => streamRows(await openNpyFile(file), file),
    decodeLabels: async (bytes, file, count) => toLabels(decodeNpy(bytes, file), count, file),
  },

  samples: {
    help: "a .npy file",
    extensions: [".npy"],
    accepts: (spec) => spec.kind !== "table",
    async read(file, spec) {
      const { rows } = toRows(decodeNpy(await readWhole(file), file), file);
      const { data } = rows as MemoryRows;
      const expected =
        spec.kind === "image" ? `images of ${spec.channels} x ${spec.height} x ${spec.width}` : "numbers";
      if ((rows.dtype === "uint8") !== (spec.kind === "image")) {
        const got = rows.dtype === "uint8" ? "bytes" : "numbers";
        throw badData(file, `expected ${expected}${spec.kind === "image" ? " in bytes" : ""}, got ${got}`);
      }
      const locations = numbered(file, rows.length);
      if (spec.kind === "image") {
        const got = `images of ${rows.shape.join(" x ")}`;
        if (got !== expected) throw badData(file, `expected ${expected}, got ${rows.shape.join(" x ")}`);
        return { inputs: encodeSamples(spec, data as Uint8Array), locations, labels: null };
      }
      if (featuresOf(rows) !== spec.features) {
        throw badData(file, `expected ${spec.features} values a sample, got ${featuresOf(rows)}`);
      }
      return { inputs: encodeSamples(spec, data as Float32Array | Float64Array), locations, labels: null };
    },
  } satisfies SampleReader<ImagePreprocessing | ValuePreprocessing>,
};

/** Arrays by name, in an archive or in files. */
interface Arrays {
  /** The file or folder, for errors. */
  readonly source: string;
  readonly names: ReadonlySet<string>;
  /** How errors call an array: its file, or the archive and its name. */
  locationOf(name: string): string;
  read(name: string): Promise<NpyArray>;
  /** The samples of an array. */
  rows(name: string): Promise<NpyRows>;
}

/** The arrays of the `.npy` files of a folder. */
function folderArrays(folder: string, files: ReadonlySet<string>, stream: boolean): Arrays {
  const locationOf = (name: string) => join(folder, `${name}.npy`);
  const read = async (name: string) => decodeNpy(await readWhole(locationOf(name), ON_DISK), locationOf(name));
  const rows = async (name: string) =>
    stream
      ? streamRows(await openNpyFile(locationOf(name)), locationOf(name))
      : toRows(await read(name), locationOf(name));
  return { source: folder, names: arrayNames(files), locationOf, read, rows };
}

async function archiveArrays(file: string): Promise<Arrays> {
  const { names, read } = await openNpz(await readWhole(file), file);
  const locationOf = (name: string) => `${file}: ${name}`;
  return { source: file, names, locationOf, read, rows: async (name) => toRows(await read(name), locationOf(name)) };
}

/** What is said of the labels. */
type LabelOptions = Pick<OpenOptions, "unlabelled" | "task" | "onNote" | "preprocessing">;

async function openArrays(arrays: Arrays, options: LabelOptions, family = expectFamily(arrays)): Promise<RawData> {
  const [x, y, testX, testY] = family;
  const { outputs, task, ...train } = await openPart(arrays, x, y, options);
  const other = async (names: readonly [string, string] | null) => {
    if (names === null) return null;
    const { outputs: own, task: _, ...part } = await openPart(arrays, ...names, { task });
    if (own === outputs) return part;
    throw badData(arrays.locationOf(names[1]), `expected ${outputs} targets a sample, as for training, got ${own}`);
  };
  const test = await other(testX === undefined || testY === undefined ? null : [testX, testY]);
  const isKnown = options.preprocessing !== undefined;
  if (outputs === null && !isKnown) countClasses(train.labels, arrays.locationOf(y), BY_UNIQUE);
  const validation = validationFamily(family, arrays.names);
  expectNoOtherPart(arrays, [...family, ...(validation ?? [])]);
  const valid = await other(validation);
  for (const [part, partX, partY] of [
    [test, testX, testY],
    [valid, ...(validation ?? [])],
  ] as const) {
    if (part === null || partX === undefined || partY === undefined) continue;
    expectSameKind(train.rows, part.rows, arrays.locationOf(partX));
    if (outputs === null && !isKnown) expectSeen(train.labels, part.labels, arrays.locationOf(partY));
  }
  const classes = outputs ?? countKnown([train, test, valid]);
  return { train, test, validation: valid, ...(outputs !== null && { task }), classes };
}

/** What the labels are for: what is said, or what was found, which is said. */
function taskOf(array: NpyArray, where: string, { task, preprocessing, onNote }: LabelOptions): TaskName {
  if (task !== undefined) return task;
  if (preprocessing !== undefined) return taskNameOf(preprocessing);
  const found = taskOfArray(array, where);
  if (hasTargets({ task: found })) {
    const what =
      found === "multi-label" ? "0 and 1 alone: several labels" : "numbers that are no classes: a regression";
    onNote?.(`${where}: ${what} (--task ${found})`);
  }
  return found;
}

/** `outputs`: the number of targets of a sample; null for classes. */
async function openPart(
  arrays: Arrays,
  x: string,
  y: string,
  options: LabelOptions,
): Promise<RawPart & { task: TaskName; outputs: number | null }> {
  const missing = [x, y].find((array) => !arrays.names.has(array));
  if (missing !== undefined) throw badData(arrays.source, `${missing} is missing beside ${missing === x ? y : x}`);
  const { rows, isImage, isMatrix } = await arrays.rows(x);
  if (!isImage && rows.dtype === "uint8") {
    const advice = 'reshape it, or astype("float32") if the bytes are no pixels';
    const text = `expected images [n, height, width], with 1 or 3 channels at the end or after n: ${advice}`;
    const shape = [rows.length, ...rows.shape].join(", ");
    throw badData(arrays.locationOf(x), `${text}; got bytes of shape [${shape}]`);
  }
  const [given, where] = [await arrays.read(y), arrays.locationOf(y)];
  const task = taskOf(given, where, options);
  const part = { rows, isImage, isMatrix, task };
  if (hasTargets({ task })) return { ...part, ...toTargets(given, rows.length, where, task) };
  return { ...part, labels: toLabels(given, rows.length, where, options.unlabelled), outputs: null };
}

/** The arrays that go with a `.npy` file. */
async function arraysBeside(file: string, stream: boolean): Promise<{ arrays: Arrays; family: Family }> {
  const folder = dirname(file);
  const arrays = folderArrays(folder, await listFiles(folder), stream);
  return { arrays, family: familyBeside(file, arrays.names) };
}

function arrayNames(files: ReadonlySet<string>): Set<string> {
  return new Set([...files].filter((file) => file.endsWith(".npy")).map((file) => file.slice(0, -4)));
}
