import { DistilleryError } from "../../errors.js";
import { badData, readWhole, readWholeSync } from "../../files/index.js";
import { native } from "../../native.js";
import type { ImageSize } from "../image_dataset.js";
import type { ImageOptions } from "../load_options.js";

/** Files that are read and decoded at once. */
const BATCH = 32;

/** The extensions of images that are read. */
export const IMAGE_EXTENSIONS = [".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"] as const;
const IMAGE = new RegExp(`(?:${IMAGE_EXTENSIONS.map((extension) => `\\${extension}`).join("|")})$`, "i");

/** Whether a name is that of an image that can be read. */
export function isImage(name: string): boolean {
  return IMAGE.test(name) && !name.startsWith(".");
}

/** The size that all images are to have: what the options say, otherwise that of the first one. */
export async function commonSize(first: string, options: ImageOptions): Promise<ImageSize> {
  const { imageSize, exifOrientation = false } = options;
  const found = native.imageSize(await readWhole(first), exifOrientation);
  if (typeof found === "string") throw badData(first, found);
  const [channels, height, width] = found;
  const [rows, columns] = typeof imageSize === "number" ? [imageSize, imageSize] : (imageSize ?? [height, width]);
  const size = { channels: options.grey === undefined ? channels : options.grey ? 1 : 3, height: rows, width: columns };
  if (size.channels * rows * columns < 2 ** 31) return size;
  const text = `imageSize: images of ${size.channels} x ${rows} x ${columns} are too large: choose a smaller size`;
  throw new DistilleryError("BAD_ARGUMENT", text);
}

/**
 * Decodes image files (the first frame of a GIF or WebP animation) into `out` [n, channels, height, width], made grey or RGB and resized as Pillow does
 * (`convert`, `resize` with BILINEAR). `BAD_DATA` with the file that is no image, damaged, or unlike the others if the
 * options do not make it alike.
 */
export function decodeImages(
  files: readonly string[],
  { channels, height, width }: ImageSize,
  { imageSize, grey, exifOrientation = false }: ImageOptions,
  out: Uint8Array,
): void {
  const features = channels * height * width;
  for (let start = 0; start < files.length; start += BATCH) {
    const part = files.slice(start, start + BATCH);
    const contents = part.map((file) => readWholeSync(file));
    const pixels = out.subarray(start * features, (start + part.length) * features);
    const mayResize = imageSize !== undefined;
    const [mayGrey, upright] = [grey === true, exifOrientation];
    const failure = native.decodeImages(contents, pixels, [channels, height, width], mayResize, mayGrey, upright);
    if (failure) throw badData(part[failure.index], withAdvice(failure.problem));
  }
}

function withAdvice(problem: string): string {
  if (problem.startsWith("expected ")) return `${problem}: imageSize (--image-size) makes all alike`;
  return problem.startsWith("a colour image") ? `${problem}: grey (--grey) makes all alike` : problem;
}
