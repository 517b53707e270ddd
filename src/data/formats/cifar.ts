import { join } from "node:path";
import { DistilleryError } from "../../errors.js";
import { badData, readWhole } from "../../files/index.js";
import { readClassNames } from "./class_names.js";
import type { FoundImages, ImagePart } from "./image_sets.js";
import { expectSeen, ON_DISK } from "./read_sets.js";

const SIZE = { channels: 3, height: 32, width: 32 } as const;
const PIXELS = 3072;

/** The files of a version: Krizhevsky's binary ones, not those for Python or Matlab. */
interface Version {
  readonly classes: number;
  /** The bytes before the pixels of an image; the last is its class. */
  readonly labelBytes: number;
  readonly train: readonly string[];
  readonly test: string;
  /** The names of the classes, one a line. */
  readonly names: string;
}

const VERSIONS: Readonly<Record<"cifar-10" | "cifar-100", Version>> = {
  "cifar-10": {
    classes: 10,
    labelBytes: 1,
    train: [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`),
    test: "test_batch.bin",
    names: "batches.meta.txt",
  },
  // A coarse class, of which there are 20, then the fine one.
  "cifar-100": { classes: 100, labelBytes: 2, train: ["train.bin"], test: "test.bin", names: "fine_label_names.txt" },
};
export type Cifar = keyof typeof VERSIONS;

/** Which version a folder with these files has, if one of its files is there. */
export function cifarOf(files: ReadonlySet<string>): Cifar | null {
  const has = ({ train, test }: Version) => [...train, test].some((file) => files.has(file));
  return (Object.keys(VERSIONS) as Cifar[]).find((version) => has(VERSIONS[version])) ?? null;
}

/**
 * The images of a folder of CIFAR-10's or CIFAR-100's binary version: records of a class (CIFAR-100: a coarse and a fine
 * one, which is taken) and 3072 pixels, red, green and blue in planes of 32 x 32. `NOT_FOUND` names the files that are
 * missing, `BAD_DATA` the byte that is wrong.
 */
export async function readCifar(folder: string, files: ReadonlySet<string>, kind: Cifar): Promise<FoundImages> {
  const version = VERSIONS[kind];
  const { trainFiles, testFile, classNames } = await findCifar(folder, files, kind);
  const train = await readRecords(trainFiles, version);
  const test = await readRecords([testFile], version);
  expectCifarSeen(kind, train.labels, test.labels, testFile);
  return { source: folder, size: SIZE, classes: version.classes, train, test, ...(classNames && { classNames }) };
}

/** Where the parts of a version lie, and the names of its classes where they are there. */
export interface CifarFiles {
  readonly trainFiles: readonly string[];
  readonly testFile: string;
  readonly classNames?: readonly string[];
}

/** The files of a version in a folder; `NOT_FOUND` names those that are missing. */
export async function findCifar(folder: string, files: ReadonlySet<string>, kind: Cifar): Promise<CifarFiles> {
  const { train, test, names, classes } = VERSIONS[kind];
  const missing = [...train, test].filter((file) => !files.has(file));
  if (missing.length > 0) {
    const text = `${folder}: expected the binary version of ${kind}; missing: ${missing.join(", ")}`;
    throw new DistilleryError("NOT_FOUND", text);
  }
  const found = { trainFiles: train.map((file) => join(folder, file)), testFile: join(folder, test) };
  return files.has(names) ? { ...found, classNames: await readClassNames(join(folder, names), classes) } : found;
}

/** Refuses a test image of a class that no training image has, with its byte. */
export function expectCifarSeen(kind: Cifar, training: Int32Array, testing: Int32Array, testFile: string): void {
  const { labelBytes } = VERSIONS[kind];
  const byteOf = (image: number) => image * (labelBytes + PIXELS) + labelBytes - 1;
  expectSeen(training, testing, testFile, (image) => `byte ${byteOf(image)}`);
}

/** The records of files, one file after the other. */
async function readRecords(files: readonly string[], { classes, labelBytes }: Version): Promise<ImagePart> {
  const record = labelBytes + PIXELS;
  const contents = await Promise.all(
    files.map(async (file) => expectRecords(await readWhole(file, ON_DISK), file, record)),
  );
  const count = contents.reduce((sum, { length }) => sum + length / record, 0);
  const [pixels, labels] = [new Uint8Array(count * PIXELS), new Int32Array(count)];
  let at = 0;
  for (const [i, bytes] of contents.entries()) {
    for (let start = 0; start < bytes.length; start += record) {
      const place = start + labelBytes - 1;
      const label = bytes[place] as number;
      if (label >= classes) {
        throw badData(files[i] as string, `byte ${place}: expected a class from 0 to ${classes - 1}, got ${label}`);
      }
      labels[at] = label;
      pixels.set(bytes.subarray(place + 1, start + record), at * PIXELS);
      at++;
    }
  }
  return { pixels, labels };
}

function expectRecords(bytes: Uint8Array, file: string, record: number): Uint8Array {
  if (bytes.length === 0) throw badData(file, "truncated: it is empty");
  const rest = bytes.length % record;
  if (rest === 0) return bytes;
  const text = `expected records of ${record} bytes, has ${bytes.length} bytes`;
  throw badData(file, `truncated: ${text}: the record at byte ${bytes.length - rest} has ${rest}`);
}
