import { show } from "../../checks.js";
import type { DistilleryError } from "../../errors.js";
import { badData } from "../../files/index.js";
import { native } from "../../native.js";
import type { ImageSize } from "../image_dataset.js";
import type { NpyArray } from "./npy.js";

/** The examples of an array. */
export type NumpyExamples = NumpyImages | NumpyValues;

/** Images in bytes [n, channels, height, width]. */
export interface NumpyImages {
  readonly kind: "image";
  readonly count: number;
  readonly size: ImageSize;
  readonly pixels: Uint8Array;
}

/** Values [n, features]. */
export interface NumpyValues {
  readonly kind: "values";
  readonly count: number;
  readonly features: number;
  readonly values: Float32Array;
}

/** The largest number up to which float32 has every whole one. */
const MAX_WHOLE = 2 ** 24;

/**
 * What an array holds. Unsigned bytes are images: [n, height, width], [n, height, width, channels] or [n, channels,
 * height, width], of 1 or 3 channels. Other numbers are values, taken as they are, [n, ...] flattened. `BAD_DATA` with
 * the place of a number that is not finite, or that float32 does not have.
 */
export function toExamples(array: NpyArray, where: string): NumpyExamples {
  const { type, shape } = array;
  const [count = 0] = shape;
  if (type === "u1") return toImages(array, where);
  if (shape.length < 2)
    throw badData(where, `expected [n, features] or more axes, got a shape of [${shape.join(", ")}]`);
  const features = shape.slice(1).reduce((product, length) => product * length, 1);
  return { kind: "values", count, features, values: toValues(array, features, where) };
}

function toImages({ shape, data }: NpyArray, where: string): NumpyExamples {
  const [count = 0, a = 0, b = 0, c = 0] = shape;
  const pixels = data as Uint8Array;
  if (shape.length === 3) return { kind: "image", count, size: { channels: 1, height: a, width: b }, pixels };
  if (shape.length === 4 && (c === 1 || c === 3)) {
    const size = { channels: c, height: a, width: b };
    return { kind: "image", count, size, pixels: toPlanes(pixels, count, size) };
  }
  if (shape.length === 4 && (a === 1 || a === 3)) {
    return { kind: "image", count, size: { channels: a, height: b, width: c }, pixels };
  }
  throw noImages(shape, where);
}

/** The error of bytes that are no images. */
export function noImages(shape: readonly number[], where: string): DistilleryError {
  const advice = 'reshape it, or astype("float32") where the bytes are no pixels';
  const text = `expected images [n, height, width], with 1 or 3 channels at the end or after n: ${advice}`;
  return badData(where, `${text}; got bytes of shape [${shape.join(", ")}]`);
}

/** [n, height, width, channels] becomes [n, channels, height, width]. */
function toPlanes(pixels: Uint8Array, count: number, { channels, height, width }: ImageSize): Uint8Array {
  if (channels === 1) return pixels;
  const plane = height * width;
  const planes = new Uint8Array(pixels.length);
  for (let image = 0; image < count; image++) {
    const start = image * channels * plane;
    for (let channel = 0; channel < channels; channel++) {
      for (let i = 0; i < plane; i++) {
        planes[start + channel * plane + i] = pixels[start + i * channels + channel] as number;
      }
    }
  }
  return planes;
}

function toValues({ data, type }: NpyArray, features: number, where: string): Float32Array {
  const place = (at: number) => `row ${Math.floor(at / features)}, column ${at % features}`;
  // By index: two of the types' elements are no numbers for Float32Array.from.
  const values = new Float32Array(data.length);
  for (let i = 0; i < values.length; i++) values[i] = Number(data[i]);
  if (type.startsWith("i")) {
    const at = data.findIndex((x: number | bigint) => x > MAX_WHOLE || x < -MAX_WHOLE);
    if (at >= 0) throw badData(where, `${place(at)}: ${data[at]} is more than float32 has exactly, ${MAX_WHOLE}`);
  }
  const at = native.firstNonFinite(values);
  if (at >= 0) throw badData(where, `${place(at)}: expected a finite number of float32's range, got ${data[at]}`);
  return values;
}

/** Classes from 0 out of an array [n] or [n, 1] of whole numbers, one for each example. */
export function toLabels({ shape, data }: NpyArray, count: number, where: string): Int32Array {
  const [length, width = 1] = shape;
  if (shape.length < 1 || shape.length > 2 || width !== 1) {
    const advice = shape.length === 2 ? ": argmax(axis=1) makes classes of one-hot rows" : "";
    throw badData(where, `expected labels of shape [${count}], got [${shape.join(", ")}]${advice}`);
  }
  if (length !== count) throw badData(where, `expected ${count} labels, one an example, got ${length}`);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const label = Number(data[i]);
    if (!Number.isInteger(label) || label < 0 || label >= 2 ** 31 - 1) {
      throw badData(where, `label ${i}: expected a class, a whole number from 0, got ${show(data[i])}`);
    }
    labels[i] = label;
  }
  return labels;
}

/** The number of classes of training labels, all of which have an example. */
export function countClasses(labels: Int32Array, where: string): number {
  const seen = new Set(labels);
  const highest = labels.reduce((a, b) => Math.max(a, b), 0);
  for (let label = 0; label <= highest; label++) {
    if (!seen.has(label))
      throw badData(where, `class ${label} has no example, class ${highest} has: number them from 0 on`);
  }
  if (highest === 0) throw badData(where, "expected two classes at least, got one");
  return highest + 1;
}
