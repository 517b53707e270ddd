import { join } from "node:path";
import { createGunzip } from "node:zlib";
import { MAX_LENGTH } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData, expectSize, listFiles, openSliced, readHead, readWhole } from "../../files/index.js";
import { numel } from "../../tensor/shape.js";
import { countClasses, countKnown, expectSeen } from "../labels.js";
import { encodeSamples } from "../preprocessing/encode.js";
import type { ImagePreprocessing } from "../preprocessing/spec.js";
import { expectSameKind, ON_DISK, type RawData, type RawPart } from "../raw_data.js";
import { FileRecords, MemoryRows, RecordRows, type RowSource } from "../row_source.js";
import { type Format, numbered, type SampleReader } from "./format.js";

/** The files of the MNIST family, each by the names that it may have: images and labels for training, for testing. */
export const IDX_FILES: readonly (readonly string[])[] = [
  ["train-images-idx3-ubyte", "train-images.idx3-ubyte"],
  ["train-labels-idx1-ubyte", "train-labels.idx1-ubyte"],
  ["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"],
  ["t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"],
].map((names) => names.flatMap((name) => [name, `${name}.gz`]));
export const FOUR_IDX = "four IDX files, plain or .gz";

/** The four IDX files of the MNIST family: grey images in bytes. */
export const idx: Format = {
  name: "idx",
  help: "a folder with the four IDX files of MNIST",
  extensions: [],
  takes: ["mean", "std"],
  folder: `four IDX files (${IDX_FILES[0][0]}, ...)`,
  detect: ({ files }) => IDX_FILES.flat().some((file) => files.has(file)),

  async open(folder, { stream, preprocessing }): Promise<RawData> {
    const there = await listFiles(folder);
    const found = IDX_FILES.map((names) => names.find((name) => there.has(name)));
    const missing = IDX_FILES.flatMap(([first], i) => (found[i] === undefined ? [first] : []));
    if (missing.length > 0) {
      throw new DistilleryError("NOT_FOUND", `${folder}: expected ${FOUR_IDX}; missing: ${missing.join(", ")}`);
    }
    const files = found.map((file) => join(folder, file as string));
    const [train, test] = await Promise.all([
      openIdxPair(files[0], files[1], stream),
      openIdxPair(files[2], files[3], stream),
    ]);
    expectSameKind(train.rows, test.rows, files[2]);
    if (preprocessing !== undefined) return { train, test, classes: countKnown([train, test]) };
    expectSeen(train.labels, test.labels, files[3]);
    // EMNIST's letters are numbered from 1 on, and have 27 classes in torchvision as well.
    const advice = "number the classes without a gap, or correct the label if it is a stray one";
    return { train, test, classes: countClasses(train.labels, files[1], advice, 1) };
  },

  pair: {
    help: "an IDX file",
    begins: (head) => head[0] === 0 || isGzip(head),
    openSamples: async (file) => ({ rows: await streamImages(file) }),
    async decodeLabels(bytes, file, count) {
      const { data } = await decodeIdx(bytes, file, 1);
      if (data.length !== count) throw badData(file, `expected ${count} labels, one a sample, got ${data.length}`);
      return Int32Array.from(data);
    },
  },

  samples: {
    help: "an IDX file of images",
    extensions: [""],
    accepts: (spec): spec is ImagePreprocessing => spec.kind === "image" && spec.channels === 1,
    async read(file, spec) {
      const { shape, data } = await decodeIdx(await readWhole(file), file, 3);
      const [count, height, width] = shape;
      if (height !== spec.height || width !== spec.width) {
        throw badData(file, `expected images of 1 x ${spec.height} x ${spec.width}, got 1 x ${height} x ${width}`);
      }
      return { inputs: encodeSamples(spec, data), locations: numbered(file, count), labels: null };
    },
  } satisfies SampleReader<ImagePreprocessing>,
};

/** The images of one file and the labels of another. */
async function openIdxPair(imagesFile: string, labelsFile: string, stream: boolean): Promise<RawPart> {
  const rows = stream ? await streamImages(imagesFile) : await readImages(imagesFile);
  const { data } = await decodeIdx(await readWhole(labelsFile, ON_DISK), labelsFile, 1);
  if (data.length === rows.length) return { rows, labels: Int32Array.from(data) };
  throw badData(labelsFile, `expected ${rows.length} labels, one an image of ${imagesFile}, got ${data.length}`);
}

async function readImages(file: string): Promise<RowSource> {
  const { shape, data } = await decodeIdx(await readWhole(file, ON_DISK), file, 3);
  return new MemoryRows(data, [1, shape[1], shape[2]]);
}

/** The images of a file that stay there. */
async function streamImages(path: string): Promise<RowSource> {
  const file = await openSliced(path);
  const head = readHead(file, 16);
  if (isGzip(head)) throw badData(path, "is gzipped: unpack it first, only uncompressed files can be streamed");
  const [records, height, width] = readIdxShape(head, path, 3);
  expectSize(path, 16 + elements([records, height, width], path, Infinity), file.size);
  return new RecordRows(new FileRecords([{ file, offset: 16, records }], height * width), [1, height, width], "uint8");
}

const UNSIGNED_BYTE = 0x08;

/** The content of an IDX file of unsigned bytes. */
interface Idx {
  readonly shape: readonly number[];
  /** Row by row; shares memory with a file that was not gzipped. */
  readonly data: Uint8Array;
}

/**
 * Reads the format of the MNIST family (LeCun's IDX), plain or gzipped: two zeros, the type, the number of axes, each
 * length as a big-endian 32-bit number, the elements. Accepts unsigned bytes in `rank` axes and exactly the bytes that
 * the lengths claim; `BAD_DATA` with the file's name and the place for anything else.
 */
export async function decodeIdx(bytes: Uint8Array, file: string, rank: number): Promise<Idx> {
  const offset = 4 + 4 * rank;
  const claim = (head: Uint8Array) => offset + elements(readIdxShape(head, file, rank), file);
  const content = isGzip(bytes) ? await gunzip(bytes, file, offset, claim) : bytes;
  expectSize(file, claim(content), content.length);
  return { shape: readIdxShape(content, file, rank), data: content.subarray(offset) };
}

/** The lengths of an IDX file's axes, out of its first bytes. */
function readIdxShape(head: Uint8Array, file: string, rank: number): number[] {
  const [zero, alsoZero, type, axes] = head;
  const start = Buffer.from(head.subarray(0, 4)).toString("hex");
  if (axes === undefined) {
    throw badData(file, `truncated: expected an IDX file, which begins with 4 bytes, got "${start}"`);
  }
  if (zero !== 0 || alsoZero !== 0) {
    throw badData(file, `not an IDX file: byte 0: expected 0000, got ${start.slice(0, 4)}`);
  }
  if (type !== UNSIGNED_BYTE) {
    throw badData(file, `byte 2: expected the element type 08 (unsigned bytes), got ${start.slice(4, 6)}`);
  }
  if (axes !== rank) throw badData(file, `byte 3: expected ${rank} axes, got ${axes}`);
  if (head.length < 4 + 4 * rank) {
    throw badData(file, `truncated: its header has ${4 + 4 * rank} bytes, the file ${head.length}`);
  }
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  return Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
}

function elements(shape: readonly number[], file: string, most = MAX_LENGTH): number {
  const empty = shape.indexOf(0);
  if (empty >= 0) throw badData(file, `byte ${4 + 4 * empty}: axis ${empty} has a length of 0`);
  const count = numel(shape);
  if (count <= most) return count;
  throw badData(file, `byte 4: a shape of [${shape.join(", ")}] is more than ${most} elements`);
}

/** Output is taken in parts of this many bytes. */
const CHUNK = 2 ** 18;
/** DEFLATE makes at most this many bytes of one. */
const MAX_RATIO = 1032;

/** Whether bytes begin as gzip does (RFC 1952). */
function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * Inflates gzip to exactly the number of bytes that its content claims: `claim` reads that from the first `head` bytes.
 * What inflates to more is given up at once, and a claim that the file is too short for allocates nothing.
 */
async function gunzip(
  bytes: Uint8Array,
  file: string,
  head: number,
  claim: (head: Uint8Array) => number,
): Promise<Uint8Array> {
  let [out, filled] = [new Uint8Array(0), 0];
  let [pending, claimed] = [new Uint8Array(0), -1];
  for await (const chunk of inflated(bytes, file)) {
    let part = chunk;
    if (claimed < 0) {
      part = pending = new Uint8Array(Buffer.concat([pending, chunk]));
      if (pending.length < head) continue;
      claimed = expectBacked(claim(pending), bytes.length, file);
      out = new Uint8Array(claimed);
    }
    if (filled + part.length > claimed) throw badData(file, `inflates to more than the ${claimed} bytes it claims`);
    out.set(part, filled);
    filled += part.length;
  }
  if (claimed < 0) claimed = claim(pending);
  if (filled < claimed) throw badData(file, `truncated: claims ${claimed} bytes, inflates to ${filled}`);
  return out;
}

async function* inflated(bytes: Uint8Array, file: string): AsyncGenerator<Uint8Array> {
  const stream = createGunzip({ chunkSize: CHUNK });
  stream.end(bytes);
  try {
    for await (const chunk of stream) yield chunk;
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    const problem =
      code === "Z_BUF_ERROR" ? "truncated: its gzip data ends early" : `its gzip data is damaged: ${message}`;
    throw badData(file, problem, error);
  }
}

function expectBacked(claimed: number, length: number, file: string): number {
  if (claimed <= length * MAX_RATIO) return claimed;
  throw badData(file, `truncated: claims ${claimed} bytes, more than its ${length} bytes of gzip can hold`);
}
