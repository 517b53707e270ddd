import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { FORMATS } from "../../src/data/formats/index.js";
import { ChannelStatistics, type Normalisation } from "../../src/data/statistics.js";
import { DistilleryError } from "../../src/errors.js";
import { afterFile } from "../helpers/after_file.js";

/** An IDX file of unsigned bytes, or of what `type` says. */
export function idx(shape: readonly number[], data: ArrayLike<number>, type = 8): Uint8Array {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head.set([0, 0, type, shape.length]);
  for (const [axis, length] of shape.entries()) head.writeUInt32BE(length, 4 + 4 * axis);
  return Uint8Array.from([...head, ...Array.from(data)]);
}

/** Four images of 2 x 2 for training and two for testing, of classes 0 to 2, by their usual names. */
export const images = (): Record<string, Uint8Array> => ({
  "train-images-idx3-ubyte": idx([4, 2, 2], [0, 0, 0, 255, 51, 51, 51, 51, 0, 102, 0, 102, 255, 255, 255, 255]),
  "train-labels-idx1-ubyte": idx([4], [2, 0, 1, 0]),
  "t10k-images-idx3-ubyte": idx([2, 2, 2], [255, 0, 0, 0, 0, 51, 102, 153]),
  "t10k-labels-idx1-ubyte": idx([2], [1, 2]),
});

/** A new folder with these files; it goes when the test file is done. */
export function folderOf(files: Record<string, Uint8Array>, name = "images"): string {
  const parent = mkdtempSync(join(tmpdir(), "distillery-data-"));
  afterFile(() => rmSync(parent, { recursive: true, force: true }));
  const folder = join(parent, name);
  mkdirSync(folder);
  for (const [file, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), bytes);
  }
  return folder;
}

/** The message of the error that `body` ends with, which must be a DistilleryError of that code. */
export async function refusal(code: string, body: () => unknown): Promise<string> {
  const error = await (async () => body())().then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DistilleryError);
  expect((error as DistilleryError).code, String(error)).toBe(code);
  return (error as DistilleryError).message;
}

const EXTENSIONS = FORMATS.flatMap(({ extensions }) => extensions);
/** How errors name the files that can be loaded. */
export const FILES = `a ${EXTENSIONS.slice(0, -1).join(", ")} or ${EXTENSIONS.at(-1)} file`;

/** The mean and deviation of each channel of images, in one part. */
export function measureChannels(
  pixels: Uint8Array,
  channels: number,
  features: number,
  indices: Int32Array,
): Normalisation {
  const statistics = new ChannelStatistics(channels, features, indices);
  statistics.add(pixels, 0, pixels.length / features);
  return statistics.normalisation();
}

/** The mean and deviation of all pixels. */
export function measure(pixels: Uint8Array): { mean: number; std: number } {
  return measureChannels(pixels, 1, pixels.length, Int32Array.of(0)) as { mean: number; std: number };
}
