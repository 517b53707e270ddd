import { badData, readWhole } from "../../files/index.js";
import { isGzip } from "../formats/gunzip.js";
import { decodeIdx, readIdxShape } from "../formats/idx.js";
import { decodeNpy, readNpyHeader } from "../formats/npy.js";
import { toLabels } from "../formats/numpy_examples.js";
import type { ImageSize } from "../image_dataset.js";
import { type RowFile, RowFiles, readHead, statusOf } from "./row_files.js";

/** Files of examples that are read piece by piece. */
export interface RowFormat {
  readonly files: RowFiles;
  /** Bytes of a row before its values; the last of them is its class where `labels` is null. */
  readonly skip: number;
  /** [rows, ...], as the files say it. */
  readonly shape: readonly number[];
  readonly features: number;
  readonly type: "u1" | "f4";
  readonly image: ImageSize | null;
  readonly labels: Int32Array | null;
  /** Where the labels stand, for errors. */
  readonly labelsAt: string;
  /** Where the format says it. */
  readonly classes: number | null;
}

/** Examples with labels in a file of their own. */
export interface LabelledRows extends RowFormat {
  readonly labels: Int32Array;
  readonly examplesAt: string;
}

const HEAD = 2 ** 14;
/** How a `.npy` file begins. */
const NPY = 0x93;
const CIFAR = { channels: 3, height: 32, width: 32 } as const;

/** A pair of IDX or `.npy` files, told apart by how the first begins. */
export async function openPair(inputs: string, labels: string): Promise<LabelledRows> {
  const status = await statusOf(inputs);
  const head = readHead(inputs, HEAD);
  if (isGzip(head)) throw badData(inputs, "is gzipped: unpack it, only what is not compressed can be read in pieces");
  const { offset, shape, type } = layoutOf(head, inputs, status.size);
  const [rows = 0, ...axes] = shape;
  const features = axes.reduce((product, length) => product * length, 1);
  const stride = features * (type === "u1" ? 1 : 4);
  const files = new RowFiles([{ path: inputs, offset, rows, status }], stride);
  expectBytes(inputs, offset + rows * stride, status.size);
  const image = type === "u1" ? imageOf(axes, inputs) : null;
  const read = await readLabels(labels, rows);
  const places = { examplesAt: inputs, labelsAt: labels };
  return { files, skip: 0, shape, features, type, image, labels: read, ...places, classes: null };
}

/** Files of CIFAR's records: a class (CIFAR-100: a coarse and a fine one, which counts), then 3072 pixels. */
export async function openCifar(kind: "cifar-10" | "cifar-100", paths: readonly string[]): Promise<RowFormat> {
  const skip = kind === "cifar-10" ? 1 : 2;
  const stride = skip + CIFAR.channels * CIFAR.height * CIFAR.width;
  const files = await Promise.all(
    paths.map(async (path): Promise<RowFile> => {
      const status = await statusOf(path);
      const rows = Math.floor(status.size / stride);
      if (rows > 0 && rows * stride === status.size) return { path, offset: 0, rows, status };
      throw badData(path, `truncated: expected records of ${stride} bytes, has ${status.size} bytes`);
    }),
  );
  const rows = new RowFiles(files, stride);
  const { channels, height, width } = CIFAR;
  return {
    ...{ files: rows, skip, shape: [rows.length, channels, height, width], features: stride - skip },
    ...{ type: "u1", image: CIFAR, labels: null },
    labelsAt: paths.join(", "),
    classes: kind === "cifar-10" ? 10 : 100,
  };
}

type Layout = { offset: number; shape: readonly number[]; type: "u1" | "f4" };

function layoutOf(head: Uint8Array, file: string, size: number): Layout {
  if (head[0] === 0) return idxLayout(head, file);
  if (head[0] === NPY) return npyLayout(head, file, size);
  const start = Buffer.from(head.subarray(0, 4)).toString("hex");
  throw badData(file, `neither an IDX nor a .npy file: ${start === "" ? "it is empty" : `begins with ${start}`}`);
}

function idxLayout(head: Uint8Array, file: string): Layout {
  const shape = readIdxShape(head, file, 3);
  const empty = shape.indexOf(0);
  if (empty >= 0) throw badData(file, `byte ${4 + 4 * empty}: axis ${empty} has a length of 0`);
  return { offset: 16, shape, type: "u1" };
}

function npyLayout(head: Uint8Array, file: string, size: number): Layout {
  const { descr, fortranOrder, shape, offset } = readNpyHeader(head, file);
  const type = /^(?:\||<)(u1|f4)$/.exec(descr)?.[1] as "u1" | "f4" | undefined;
  if (type === undefined) {
    const advice = 'astype("uint8") of pixels or astype("float32") of numbers makes one';
    throw badData(file, `elements of type "${descr.slice(0, 20)}"; in pieces only |u1 and <f4 are read: ${advice}`);
  }
  if (fortranOrder) throw badData(file, "lies column by column: np.ascontiguousarray makes rows of it");
  if (shape.length < 2 || shape.includes(0)) {
    throw badData(file, `expected [n, features] or more axes, got a shape of [${shape.join(", ")}]`);
  }
  if (size < offset) throw badData(file, `truncated: its header ends at byte ${offset}, the file has ${size}`);
  return { offset, shape, type };
}

/** [height, width], or that of one or three channels; null: what the values of a row are is not known. */
function imageOf(axes: readonly number[], file: string): ImageSize | null {
  const [a = 0, b = 0, c = 0] = axes;
  if (axes.length === 2) return { channels: 1, height: a, width: b };
  if (axes.length === 3 && c === 1) return { channels: 1, height: a, width: b };
  if (axes.length === 3 && c === 3) {
    throw badData(file, "its colours lie pixel by pixel: x.transpose(0, 3, 1, 2).copy() puts them plane by plane");
  }
  return axes.length === 3 && (a === 1 || a === 3) ? { channels: a, height: b, width: c } : null;
}

async function readLabels(file: string, rows: number): Promise<Int32Array> {
  const bytes = await readWhole(file);
  if (bytes[0] === NPY) return toLabels(decodeNpy(bytes, file), rows, file);
  const { data } = await decodeIdx(bytes, file, 1);
  if (data.length !== rows) throw badData(file, `expected ${rows} labels, one an example, got ${data.length}`);
  return Int32Array.from(data);
}

function expectBytes(file: string, claimed: number, size: number): void {
  if (size < claimed) throw badData(file, `truncated: claims ${claimed} bytes, has ${size}`);
  if (size > claimed)
    throw badData(file, `claims ${claimed} bytes, but ${size - claimed} more follow at byte ${claimed}`);
}
