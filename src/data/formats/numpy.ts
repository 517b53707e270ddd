import { freemem } from "node:os";
import { basename, dirname, extname, join } from "node:path";
import { showList } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData, kindOf, listFiles, readWhole } from "../../files/index.js";
import { encodeSamples } from "../preprocessing/encode.js";
import type { ImagePreprocessing, ValuePreprocessing } from "../preprocessing/spec.js";
import { expectSameKind, ON_DISK, type RawData, type RawPart } from "../raw_data.js";
import { featuresOf, type MemoryRows } from "../row_source.js";
import { countClasses, expectSeen } from "../seen_classes.js";
import { hasTargets, type TaskName, taskNameOf } from "../task_name.js";
import { type Format, numbered, type OpenOptions } from "./format.js";
import { decodeNpy, decodeNpyTexts, type NpyArray, openNpyFile } from "./npy.js";
import { BY_UNIQUE, toLabels } from "./npy_labels.js";
import { type NpyRows, streamRows, toRows } from "./npy_rows.js";
import { taskOfArray, toTargets } from "./npy_targets.js";
import { partOf, VALIDATION_WORDS } from "./part_names.js";

/** The arrays of a data set: samples and labels for training, then for testing if they are there. */
type Family = readonly [x: string, y: string, testX?: string, testY?: string];

/** How a `.npy` file begins. */
const MAGIC_BYTE = 0x93;

/** The names that arrays go by. */
const FAMILIES: readonly Family[] = [
  ["x_train", "y_train", "x_test", "y_test"],
  ["X_train", "y_train", "X_test", "y_test"],
  ["train_images", "train_labels", "test_images", "test_labels"],
  ["x", "y"],
  ["X", "y"],
  ["images", "labels"],
  ["data", "labels"],
  ["data", "target"],
];

/**
 * NumPy's arrays: a `.npz` archive, a `.npy` file with its labels beside it, or a folder of `.npy` files. Unsigned bytes
 * are images; a matrix of other numbers has columns, which are standardised as those of a table; numbers of more axes are
 * taken as they are.
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
      throw new DistilleryError("BAD_ARGUMENT", `stream: ${text}`);
    }
    if (isArchive) return openArrays(await archiveArrays(path), labels);
    if (isFolder) return openArrays(folderArrays(path, await listFiles(path), stream), labels);
    const { arrays, family } = await familyOfFile(path, stream);
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
        return { inputs: encodeSamples(spec as ImagePreprocessing, data as Uint8Array), locations, labels: null };
      }
      const { features } = spec as ValuePreprocessing;
      if (featuresOf(rows) !== features) {
        throw badData(file, `expected ${features} values a sample, got ${featuresOf(rows)}`);
      }
      return {
        inputs: encodeSamples(spec as ValuePreprocessing, data as Float32Array | Float64Array),
        locations,
        labels: null,
      };
    },
  },
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

/** The arrays of a `.npz` archive by their names. */
interface NpzArchive {
  readonly names: ReadonlySet<string>;
  read(name: string): Promise<NpyArray>;
  /** An array of texts. */
  readTexts(name: string): Promise<string[]>;
}

/**
 * Opens a `.npz` archive as `numpy.savez` and `savez_compressed` write it: a zip of `.npy` files. An array is taken out,
 * and its checksum checked, when it is read. `BAD_DATA` with the file's name, and the array's, otherwise.
 */
export async function openNpz(bytes: Uint8Array, file: string): Promise<NpzArchive> {
  // Loaded late: only archives need the library behind it.
  const { readZip } = await import("../../files/zip_reader.js");
  const open = (choose: (names: readonly string[]) => readonly string[]) =>
    readZip(bytes, {
      writer: "NumPy",
      refuseCompressed: null,
      refuseSize,
      fail: (problem, cause) => badData(file, problem, cause),
      choose,
    });
  const names = new Set<string>();
  await open((entries) => {
    for (const entry of entries) if (entry.endsWith(".npy")) names.add(entry.slice(0, -4));
    return [];
  });
  const decode = async <T>(name: string, decoder: (bytes: Uint8Array, where: string) => T) => {
    const entries = await open(() => [`${name}.npy`]);
    return decoder(entries.get(`${name}.npy`) as Uint8Array, `${file}: ${name}`);
  };
  return { names, read: (name) => decode(name, decodeNpy), readTexts: (name) => decode(name, decodeNpyTexts) };
}

/** The copies of an array that are in memory at once while it becomes samples. */
const COPIES = 3;

/** Refuses an array that does not fit into the memory that is free, before it is inflated. */
function refuseSize(bytes: number): string | null {
  // Node 20.13 and newer know the limit of a container.
  const free = process.availableMemory?.() ?? freemem();
  if (COPIES * bytes <= free) return null;
  const needs = `takes ${gigabytes(COPIES * bytes)} to read, and ${gigabytes(free)} are free`;
  return `inflates to ${gigabytes(bytes)}, which ${needs}: \`unzip\` makes .npy files of it, which stream (--stream) leaves on the disk`;
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

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
  const classes = outputs ?? countClasses(train.labels, arrays.locationOf(y), BY_UNIQUE, isKnown);
  const validation = validationFamily(family, arrays.names);
  expectNoOtherPart(arrays, [...family, ...(validation ?? [])]);
  const valid = await other(validation);
  for (const [part, partX, partY] of [
    [test, testX, testY],
    [valid, ...(validation ?? [])],
  ] as const) {
    if (part === null || partX === undefined || partY === undefined) continue;
    expectSameKind(train.rows, part.rows, arrays.locationOf(partX));
    if (outputs === null) expectSeen(train.labels, part.labels, arrays.locationOf(partY));
  }
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

/** The arrays that are the data; `BAD_DATA` with the names that were looked for. */
function expectFamily({ source, names }: Arrays): Family {
  const family = familyOf(names);
  if (family !== null) return family;
  const wanted = FAMILIES.map(([x, y]) => `${x} and ${y}`).join("; ");
  throw badData(source, `expected arrays called ${wanted}; it has ${showList([...names].sort(), 8) || "none"}`);
}

/**
 * The arrays that go with a `.npy` file: those of its family, or its labels in `NAME_labels.npy`, `labels.npy` or `y.npy`
 * beside it; `NOT_FOUND` otherwise.
 */
async function familyOfFile(file: string, stream: boolean): Promise<{ arrays: Arrays; family: Family }> {
  const folder = dirname(file);
  const arrays = folderArrays(folder, await listFiles(folder), stream);
  const stem = basename(file, extname(file));
  const families = [...FAMILIES, ...FAMILIES.map((one) => asWritten(one, arrays.names))];
  const family = families.find((names) => names.includes(stem) && isThere(names, arrays.names));
  if (family !== undefined) return { arrays, family: withoutMissing(family, arrays.names) };
  const candidates = [`${stem}_labels`, "labels", "y"].filter((other) => other !== stem);
  const labels = candidates.find((other) => arrays.names.has(other));
  if (labels !== undefined) return { arrays, family: [stem, labels, ...testBeside(stem, labels, arrays.names)] };
  const wanted = candidates.map((other) => `${other}.npy`).join(", ");
  throw new DistilleryError("NOT_FOUND", `${file}: expected its labels beside it, in one of ${wanted}`);
}

/** The arrays of the test part beside `train.npy`: `Test.npy` and `Test_labels.npy` beside `Train.npy` and its labels. */
function testBeside(stem: string, labels: string, names: ReadonlySet<string>): [string, string] | [] {
  if (partOf(stem) !== "train" || labels !== `${stem}_labels`) return [];
  const test = [...names].find((name) => partOf(name) === "test" && names.has(`${name}_labels`));
  return test === undefined ? [] : [test, `${test}_labels`];
}

function arrayNames(files: ReadonlySet<string>): Set<string> {
  return new Set([...files].filter((file) => file.endsWith(".npy")).map((file) => file.slice(0, -4)));
}

/** Refuses samples and labels beside the training part that no part is called after: `x_dev` and `y_dev`. */
function expectNoOtherPart({ source, names }: Arrays, used: readonly (string | undefined)[]): void {
  const [x, y] = used as [string, string];
  if (!/train/i.test(x) || !/train/i.test(y)) return;
  const [before, after] = x.split(/train(?:ing)?/i);
  for (const name of names) {
    if (used.includes(name) || !name.startsWith(before) || !name.endsWith(after)) continue;
    const part = name.slice(before.length, name.length - after.length);
    if (part === "" || !names.has(y.replace(/train(ing)?/i, part))) continue;
    const text = `expected train, val and test alone, has ${JSON.stringify(name)} too: rename it or take it out`;
    throw badData(source, text);
  }
}

/** The arrays of the validation part: `x_val` and `y_val` beside `x_train`, and the like. */
function validationFamily([x, y]: Family, names: ReadonlySet<string>): readonly [string, string] | null {
  const called = (name: string, part: string) => {
    const wanted = name.replace(/train(ing)?/i, part).toLowerCase();
    return [...names].find((one) => one.toLowerCase() === wanted);
  };
  if (!/train/i.test(x) || !/train/i.test(y)) return null;
  for (const part of VALIDATION_WORDS) {
    const [own, labels] = [called(x, part), called(y, part)];
    if (own === undefined && labels === undefined) continue;
    // What is missing is said when it is read.
    return [own ?? x.replace(/train(ing)?/i, part), labels ?? y.replace(/train(ing)?/i, part)];
  }
  return null;
}

function isThere([x, y]: Family, names: ReadonlySet<string>): boolean {
  return names.has(x) && names.has(y);
}

function familyOf(names: ReadonlySet<string>): Family | null {
  const family = FAMILIES.find((candidate) => isThere(candidate, names));
  if (family !== undefined) return withoutMissing(family, names);
  const alike = FAMILIES.map((candidate) => asWritten(candidate, names)).find((one) => isThere(one, names));
  return alike === undefined ? null : withoutMissing(alike, names);
}

/** A family by the names that arrays have, which may differ in case: `X_Train`. */
function asWritten(family: Family, names: ReadonlySet<string>): Family {
  const written = (wanted: string) => [...names].find((name) => name.toLowerCase() === wanted.toLowerCase()) ?? wanted;
  return family.map((name) => name && written(name)) as unknown as Family;
}

/** A family without its test part if no array of that is there. */
function withoutMissing(family: Family, names: ReadonlySet<string>): Family {
  const [x, y, testX, testY] = family;
  return [testX, testY].some((name) => name !== undefined && names.has(name)) ? family : [x, y];
}
