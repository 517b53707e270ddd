import { show } from "../checks.js";
import type { Dataset, ImageLayout } from "../data/dataset.js";
import type { Adaptation } from "../data/preprocessing/adapt.js";
import { asBytes, pixelsOf } from "../data/preprocessing/encode.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";

/** How a teacher's inputs differ from the student's. */
export interface TeacherInputs {
  /** What pixels / 255, or the numbers, are normalised with: one number, or one for each channel or column. */
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  /** Rows and columns that images are resized to. */
  readonly size?: readonly [height: number, width: number];
}

/** An input of a network: the shape of a sample, whose lengths may be open, and the type of its numbers. */
interface InputSpec {
  /** For errors. */
  readonly name: string;
  readonly shape: readonly (number | string)[];
  readonly type: string;
}

/** Makes the student's values of rows into the teacher's, in its layout. */
export interface InputPlan {
  /** That of a sample. */
  readonly shape: readonly number[];
  convert(values: Float32Array, rows: number): Float32Array | Float64Array | Uint8Array;
}

const ARRAYS = { float32: Float32Array, float64: Float64Array, uint8: Uint8Array } as const;
type Type = keyof typeof ARRAYS;

/** How samples of the data become the input; `BAD_ARGUMENT` with both shapes if they can't. */
export function planInputs(spec: InputSpec, data: Dataset, inputs: TeacherInputs): InputPlan {
  if (!Object.hasOwn(ARRAYS, spec.type)) {
    throw refused(spec, `expected an input of float32, float64 or uint8, got ${spec.type}`);
  }
  const { image } = data;
  return image === undefined ? planValues(spec, data, inputs) : planImages(spec, data.name, image, inputs);
}

/** Values converted to those of the file's own preprocessing; `columns` null: fed unchanged. */
export function planColumns(spec: InputSpec, data: Dataset, columns: Adaptation["inputs"]): InputPlan {
  if (columns === null) return planInputs(spec, data, {});
  const { index, scale, offset, missing } = columns;
  const width = scale.length;
  if (!fits(spec.shape, [width])) throw misfit(spec, data.name, [width]);
  const convert = (values: Float32Array, rows: number) => {
    const out = new Float32Array(rows * width);
    for (let i = 0; i < out.length; i++) {
      const column = i % width;
      const row = ((i - column) / width) * data.features;
      out[i] = values[row + (index === null ? column : index[column])] * scale[column] + offset[column];
      if (missing !== null) out[i] += values[row + missing.index[column]] * missing.more[column];
    }
    return out;
  };
  return { shape: [width], convert };
}

/** So many ids a text, as they are. */
export function planIds(spec: InputSpec, data: Dataset, length: number): InputPlan {
  if (!fits(spec.shape, [length])) throw misfit(spec, data.name, [length]);
  return { shape: [length], convert: (ids) => ids };
}

function planValues(spec: InputSpec, data: Dataset, { mean, std }: TeacherInputs): InputPlan {
  const shape = data.shape ?? [data.features];
  const own = fits(spec.shape, [data.features]) ? [data.features] : fits(spec.shape, shape) ? shape : null;
  if (own === null) throw misfit(spec, data.name, [data.features]);
  if (spec.type === "uint8")
    throw refused(spec, `expected an input of floats for the numbers of ${data.name}, got uint8`);
  const normalise = mean !== undefined || std !== undefined;
  const was = normalise ? numberLayout(spec, data) : null;
  const [means, deviations] = [mean ?? [0], std ?? [1]].map((list, i) =>
    perPart(spec, i === 0 ? "mean" : "std", list, data.features, "columns"),
  );
  const convert = (values: Float32Array) => {
    const out = new ARRAYS[spec.type as Type](values.length);
    for (let i = 0; i < values.length; i++) {
      const c = i % data.features;
      const number = was === null ? values[i] : values[i] * was.std[c] + was.mean[c];
      out[i] = was === null ? number : (Math.fround(number) - means[c]) / deviations[c];
    }
    return out;
  };
  return { shape: own, convert };
}

/** What standardised each column. */
function numberLayout(
  spec: InputSpec,
  { name, values, table, features }: Dataset,
): { mean: readonly number[]; std: readonly number[] } {
  if (values !== undefined) return values;
  if (table === undefined) return { mean: new Array(features).fill(0), std: new Array(features).fill(1) };
  const columns = table.columns.map((column) => {
    if (!("mean" in column) || column.missing === "category") {
      throw refused(spec, `mean and std: ${name} has columns of texts or missing cells, as ${show(column.name)}`);
    }
    return column;
  });
  return { mean: columns.map(({ mean }) => mean), std: columns.map(({ std }) => std) };
}

function planImages(spec: InputSpec, name: string, image: ImageLayout, inputs: TeacherInputs): InputPlan {
  const [height, width] = inputs.size ?? [image.height, image.width];
  const layout = layoutOf(spec, image.channels, height, width);
  if (layout === null) throw misfit(spec, name, [image.channels, height, width]);
  const { channels, isLast, shape } = layout;
  const isResized = height !== image.height || width !== image.width;
  const isBytes = spec.type === "uint8";
  const isAsItIs = inputs.mean === undefined && inputs.std === undefined && !isResized && !isBytes;
  const means = perPart(spec, "mean", inputs.mean ?? (inputs.std ? [0] : image.mean), channels, "channels");
  const deviations = perPart(spec, "std", inputs.std ?? (inputs.mean ? [1] : image.std), channels, "channels");
  const [from, plane] = [image.height * image.width, height * width];
  const convert = (values: Float32Array, rows: number) => {
    const size = rows * channels * plane;
    // Noise may have moved pixels out of the range of a byte.
    const out = isBytes ? new Uint8ClampedArray(size) : new ARRAYS[spec.type as Type](size);
    for (let row = 0; row < rows; row++) {
      const own = values.subarray(row * image.channels * from, (row + 1) * image.channels * from);
      const pixels = isAsItIs ? own : resized(pixelsOf(own, image), image, height, width);
      for (let i = 0; i < channels * plane; i++) {
        const channel = Math.floor(i / plane);
        // A grey image is the same in all channels.
        const pixel = pixels[(image.channels === 1 ? 0 : channel * plane) + (i % plane)];
        const at = isLast ? (i % plane) * channels + channel : i;
        out[row * channels * plane + at] =
          isAsItIs || isBytes ? pixel : normalised(pixel, means[channel], deviations[channel]);
      }
    }
    return out instanceof Uint8ClampedArray ? new Uint8Array(out.buffer) : out;
  };
  return { shape, convert };
}

/** As torchvision's ToTensor and Normalize compute it, in float32. */
function normalised(pixel: number, mean: number, std: number): number {
  return Math.fround(Math.fround(Math.fround(pixel / 255) - Math.fround(mean)) / Math.fround(std));
}

/** The axis of the channels in an input, their number, and its shape; null if images of this size do not fit it. */
function layoutOf({ shape }: InputSpec, own: number, height: number, width: number) {
  const counts = own === 1 ? [1, 3] : [own];
  for (const channels of counts) {
    const [planes, pixels] = [
      [channels, height, width],
      [height, width, channels],
    ];
    // Grey images may have no axis of channels.
    for (const whole of [[channels * height * width], ...(channels === 1 ? [[height, width]] : [])]) {
      if (fits(shape, whole)) return { channels, isLast: false, shape: whole };
    }
    const [first, last] = [fits(shape, planes), fits(shape, pixels)];
    // If open lengths allow both layouts, the one with a fixed number of channels.
    const isLast = last && (!first || (typeof shape[2] === "number" && typeof shape[0] !== "number"));
    if (first || last) return { channels, isLast, shape: isLast ? pixels : planes };
  }
  return null;
}

function fits(shape: readonly (number | string)[], sample: readonly number[]): boolean {
  return (
    shape.length === sample.length &&
    shape.every((length, i) => typeof length !== "number" || length <= 0 || length === sample[i])
  );
}

function resized(pixels: Float64Array, { channels, height, width }: ImageLayout, newHeight: number, newWidth: number) {
  if (height === newHeight && width === newWidth) return pixels;
  const out = new Uint8Array(channels * newHeight * newWidth);
  native.resizePlanes(asBytes(pixels), out, [channels, height, width], [newHeight, newWidth]);
  return out;
}

function perPart(
  spec: InputSpec,
  option: string,
  list: readonly number[],
  parts: number,
  what: string,
): readonly number[] {
  if (list.length === parts) return list;
  if (list.length === 1 || new Set(list).size === 1) return new Array<number>(parts).fill(list[0]);
  throw refused(spec, `${option}: expected one number or one for each of the ${parts} ${what}, got ${list.length}`);
}

function misfit(spec: InputSpec, name: string, sample: readonly number[]): DistilleryError {
  const text = `its input takes samples of [${spec.shape.join(", ")}], ${name} has [${sample.join(", ")}]`;
  const sides = spec.shape.filter((length) => typeof length === "number" && length > 3);
  const advice =
    sample.length === 3 && sides.length >= 2 && (sides[0] !== sample[1] || sides[1] !== sample[2])
      ? `: teacherSize (--teacher-size ${sides.slice(0, 2).join("x")}) resizes images`
      : "";
  return refused(spec, `${text}${advice}`);
}

function refused({ name }: InputSpec, problem: string): DistilleryError {
  return new DistilleryError("BAD_ARGUMENT", `${name}: ${problem}`);
}
