import { join } from "node:path";
import { show } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData, listFiles, MAX_FILE_BYTES, openSliced, readWhole } from "../../files/index.js";
import { turns } from "../../slices.js";
import { expectSeen } from "../labels.js";
import { ON_DISK, type RawData, type RawPart } from "../raw_data.js";
import { FileRecords, RecordRows } from "../row_source.js";
import type { Folder, Format } from "./format.js";
import { decodeText } from "./text_records.js";

const SHAPE = [3, 32, 32] as const;
const PIXELS = 3072;

/** The files of a version: Krizhevsky's binary ones, not those for Python or Matlab. */
interface Version {
  readonly classes: number;
  /** The bytes before the pixels of an image; the last is its class. */
  readonly labelBytes: number;
  readonly train: readonly string[];
  readonly test: string;
  /** The file with the names of the classes, one a line. */
  readonly names: string;
}

export const CIFAR_VERSIONS = {
  "cifar-10": {
    classes: 10,
    labelBytes: 1,
    train: [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`),
    test: "test_batch.bin",
    names: "batches.meta.txt",
  },
  // A coarse class, of which there are 20, then the fine one.
  "cifar-100": { classes: 100, labelBytes: 2, train: ["train.bin"], test: "test.bin", names: "fine_label_names.txt" },
} as const satisfies Readonly<Record<string, Version>>;
export type Cifar = keyof typeof CIFAR_VERSIONS;

/**
 * CIFAR-10's or CIFAR-100's binary version: records of a class (CIFAR-100: a coarse and a fine one, which is taken) and
 * 3072 pixels, red, green and blue in planes of 32 x 32.
 */
export const cifar: Format = {
  name: "cifar",
  help: "a folder with CIFAR's binary version",
  extensions: [],
  takes: ["mean", "std"],
  folder: "CIFAR's binary version (data_batch_1.bin, ... or train.bin)",
  detect: (folder) => versionOf(folder) !== null,

  async open(folder, { stream, preprocessing }): Promise<RawData> {
    const files = await listFiles(folder);
    const version = versionOf({ files }) ?? "cifar-10";
    const { train, test, names, classes, labelBytes }: Version = CIFAR_VERSIONS[version];
    const missing = [...train, test].filter((file) => !files.has(file));
    if (missing.length > 0) {
      const text = `${folder}: expected the binary version of ${version}; missing: ${missing.join(", ")}`;
      throw new DistilleryError("NOT_FOUND", text);
    }
    const classNames = files.has(names) ? await readClassNames(join(folder, names), classes) : undefined;
    const paths = train.map((file) => join(folder, file));
    const [trainPart, testPart] = [
      await openCifar(version, paths, stream),
      await openCifar(version, [join(folder, test)], stream),
    ];
    const byteOf = (image: number) => image * (labelBytes + PIXELS) + labelBytes - 1;
    if (preprocessing === undefined) {
      expectSeen(trainPart.labels, testPart.labels, join(folder, test), (image) => `byte ${byteOf(image)}`);
    }
    return { train: trainPart, test: testPart, classes, ...(classNames && { classNames }) };
  },
};

/** The version of a folder with one of its files. */
function versionOf({ files }: Pick<Folder, "files">): Cifar | null {
  const has = ({ train, test }: Version) => [...train, test].some((file) => files.has(file));
  return (Object.keys(CIFAR_VERSIONS) as Cifar[]).find((version) => has(CIFAR_VERSIONS[version])) ?? null;
}

/** The records of files, one file after the other; `BAD_DATA` with the byte that is wrong. */
export async function openCifar(version: Cifar, paths: readonly string[], stream: boolean): Promise<RawPart> {
  const { labelBytes, classes } = CIFAR_VERSIONS[version];
  const stride = labelBytes + PIXELS;
  const files = await Promise.all(paths.map((path) => openRecords(path, stride, stream)));
  const records = new FileRecords(files, stride);
  const decode = (bytes: Uint8Array, _first: number, out: { set(values: Uint8Array, at: number): void }) => {
    for (let row = 0; row * stride < bytes.length; row++) {
      out.set(bytes.subarray(row * stride + labelBytes, (row + 1) * stride), row * PIXELS);
    }
  };
  const labels = await readLabels(records, labelBytes, classes);
  return { rows: new RecordRows(records, SHAPE, "uint8", decode), labels };
}

async function openRecords(path: string, stride: number, stream: boolean) {
  const file = await openSliced(path);
  const { size } = file;
  if (!stream && size > MAX_FILE_BYTES) {
    const text = `${path}: ${size} bytes; at most ${MAX_FILE_BYTES} can be read: ${ON_DISK}`;
    throw new DistilleryError("IO_ERROR", text);
  }
  if (size === 0) throw badData(path, "truncated: it is empty");
  const rest = size % stride;
  if (rest === 0) return { file, offset: 0, records: size / stride };
  const text = `expected records of ${stride} bytes, has ${size} bytes`;
  throw badData(path, `truncated: ${text}: the record at byte ${size - rest} has ${rest}`);
}

/** Records whose labels are read at once. */
const STEP = 512;

async function readLabels(records: FileRecords, labelBytes: number, classes: number): Promise<Int32Array> {
  const { length, stride } = records;
  const labels = new Int32Array(length);
  const bytes = new Uint8Array(Math.min(STEP, length) * stride);
  for await (const [start, end] of turns(length, STEP)) {
    records.read(start, bytes.subarray(0, (end - start) * stride));
    for (let row = start; row < end; row++) {
      labels[row] = bytes[(row - start) * stride + labelBytes - 1];
      if (labels[row] < classes) continue;
      const { path, byte } = records.locationOf(row);
      const text = `byte ${byte + labelBytes - 1}: expected a class from 0 to ${classes - 1}, got ${labels[row]}`;
      throw badData(path, text);
    }
  }
  return labels;
}

/** The names of classes out of a text file, one a line, in their order; `BAD_DATA` with the line otherwise. */
async function readClassNames(file: string, classes: number): Promise<string[]> {
  const lines = decodeText(await readWhole(file), file)
    .trimEnd()
    .split("\n")
    .map((line) => line.trim());
  const wrong = lines.findIndex((name, i) => name === "" || lines.indexOf(name) !== i);
  if (wrong >= 0) throw badData(file, `line ${wrong + 1}: expected a name, each once, got ${show(lines[wrong])}`);
  if (lines.length !== classes) throw badData(file, `expected ${classes} names, one a line, got ${lines.length}`);
  return lines;
}
