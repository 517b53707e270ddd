import { show } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData, readWhole } from "../../files/index.js";
import { native } from "../../native.js";
import type { ImageSize } from "../image_dataset.js";

/** Files that are read and decoded at once. */
const BATCH = 32;
/** The longest side. */
const MAX_SIDE = 65_535;

/** How pictures are made alike. */
export interface PictureOptions {
  /** Rows and columns, or one number for both, that all are resized to; default: all must have the first one's. */
  readonly imageSize?: number | readonly [height: number, width: number];
  /** Whether all become grey (true) or colour (false); default: as the first one is. */
  readonly grey?: boolean;
}

/** Whether a name is that of a picture that can be read. */
export function isPicture(name: string): boolean {
  return /\.(png|jpe?g)$/i.test(name) && !name.startsWith(".");
}

/** Rows and columns out of the option; `BAD_ARGUMENT` otherwise. */
export function expectImageSize(imageSize: PictureOptions["imageSize"]): readonly [number, number] | undefined {
  if (imageSize === undefined) return undefined;
  const sides = typeof imageSize === "number" ? [imageSize, imageSize] : imageSize;
  const isSide = (x: unknown) => typeof x === "number" && Number.isInteger(x) && x >= 1 && x <= MAX_SIDE;
  if (Array.isArray(sides) && sides.length === 2 && sides.every(isSide)) return sides as unknown as [number, number];
  const text = `imageSize: expected a whole number from 1 to ${MAX_SIDE} or [height, width], got ${show(imageSize)}`;
  throw new DistilleryError("BAD_ARGUMENT", text);
}

/** The size that all pictures are to have: what the options say, and else the first one has. */
export async function commonSize(first: string, options: PictureOptions): Promise<ImageSize> {
  const asked = expectImageSize(options.imageSize);
  const found = native.imageSize(await readWhole(first));
  if (typeof found === "string") throw badData(first, found);
  const [channels, height, width] = found as [number, number, number];
  const size = asked === undefined ? { height, width } : { height: asked[0], width: asked[1] };
  return { ...size, channels: options.grey === undefined ? channels : options.grey ? 1 : 3 };
}

/**
 * The pixels of PNG and JPEG files [n, channels, height, width], decoded, made grey or RGB and resized as Pillow does
 * (`convert`, `resize` with BILINEAR). `BAD_DATA` with the file that is no image, damaged, or unlike the others where
 * the options do not make it alike.
 */
export async function readPictures(
  files: readonly string[],
  size: ImageSize,
  { imageSize, grey }: PictureOptions,
): Promise<Uint8Array> {
  const { channels, height, width } = size;
  const features = channels * height * width;
  const pixels = allocate(files.length, features);
  for (let start = 0; start < files.length; start += BATCH) {
    const part = files.slice(start, start + BATCH);
    const contents = await Promise.all(part.map((file) => readWhole(file)));
    const out = pixels.subarray(start * features, (start + part.length) * features);
    const mayResize = imageSize !== undefined;
    const failure = native.decodeImages(contents, out, channels, height, width, mayResize, grey === true);
    if (failure) throw badData(part[failure.index] as string, withAdvice(failure.problem));
  }
  return pixels;
}

function allocate(count: number, features: number): Uint8Array {
  try {
    return new Uint8Array(count * features);
  } catch (error) {
    const text = `imageSize: ${count} pictures of ${features} values do not fit into memory: choose a smaller one`;
    throw new DistilleryError("BAD_ARGUMENT", text, { cause: error });
  }
}

function withAdvice(problem: string): string {
  if (problem.startsWith("expected ")) return `${problem}: imageSize makes all alike`;
  return problem.startsWith("a colour image") ? `${problem}: grey makes all alike` : problem;
}
