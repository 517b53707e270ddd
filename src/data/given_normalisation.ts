import { DistilleryError } from "../errors.js";
import { expectNormalisation } from "./image_dataset.js";
import type { RawPart } from "./raw_data.js";
import type { Normalisation } from "./statistics.js";

type Given = { readonly [K in keyof Normalisation]?: Normalisation[K] | undefined };

/** Refuses a mean without a deviation, and the other way round; `BAD_ARGUMENT`. */
export function expectBothOrNone({ mean, std }: Given): void {
  if ((mean === undefined) === (std === undefined)) return;
  throw new DistilleryError("BAD_ARGUMENT", "mean, std: expected both or none, got one of them");
}

/**
 * The mean and deviation that pixels are normalised with, as they were given: one number, or one for each channel. Undefined if none
 * were.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for another number of them than one or the channels, and other data than bytes.
 */
export function givenNormalisation({ rows, isImage = true }: RawPart, { mean, std }: Given): Normalisation | undefined {
  if (mean === undefined || std === undefined) return undefined;
  if (rows.dtype !== "uint8") {
    const text = "mean, std: expected them for bytes only: the columns of numbers have their own";
    throw new DistilleryError("BAD_ARGUMENT", text);
  }
  const channels = isImage ? rows.shape[0] : 1;
  return expectNormalisation({ mean: spread(mean, channels), std: spread(std, channels) }, channels);
}

/** A list of one number is for all channels. */
function spread(given: number | readonly number[], channels: number): number | readonly number[] {
  return typeof given !== "number" && given.length === 1 ? new Array<number>(channels).fill(given[0]) : given;
}
