/** Pixels, scaled to [0, 1], become (pixel - mean) / std: one number, or one for each channel. */
export interface Normalisation {
  readonly mean: number | readonly number[];
  readonly std: number | readonly number[];
}

/** The numbers that are usual for data sets everyone knows. */
export const USUAL: ReadonlyMap<string, Normalisation> = new Map<string, Normalisation>([
  ["fashion-mnist", { mean: 0.286, std: 0.353 }],
  ["mnist", { mean: 0.1307, std: 0.3081 }],
  ["kmnist", { mean: 0.1918, std: 0.3483 }],
  ["cifar-10", { mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] }],
  ["cifar-100", { mean: [0.5071, 0.4865, 0.4409], std: [0.2673, 0.2564, 0.2762] }],
]);

/**
 * The mean and the population's standard deviation of pixels scaled to [0, 1]. Where all are equal `std` is 1, so that
 * they become 0.
 */
export function measure(pixels: Uint8Array): { mean: number; std: number } {
  const counts = new PixelCounts();
  counts.add(pixels, 0, pixels.length);
  return momentsOf(counts.counts);
}

/**
 * The same for each channel of images [n, channels, pixels of a plane], over the images of these indices; one number
 * where there is one channel.
 */
export function measureChannels(
  pixels: Uint8Array,
  channels: number,
  features: number,
  indices: Int32Array,
): Normalisation {
  const plane = features / channels;
  const moments = Array.from({ length: channels }, (_, channel) => {
    const counts = new PixelCounts();
    // By index: the iterator of a typed array is several times slower.
    for (let i = 0; i < indices.length; i++) {
      const start = indices[i] * features + channel * plane;
      counts.add(pixels, start, start + plane);
    }
    return momentsOf(counts.counts);
  });
  if (channels === 1) return moments[0] as Normalisation;
  return { mean: moments.map(({ mean }) => mean), std: moments.map(({ std }) => std) };
}

/** Of pixels that are counted by their value. */
export function momentsOf(counts: Float64Array): { mean: number; std: number } {
  const total = counts.reduce((a, b) => a + b);
  const average = (of: (pixel: number) => number) =>
    counts.reduce((sum, count, pixel) => sum + count * of(pixel), 0) / total;
  const mean = average((pixel) => pixel) / 255;
  const std = Math.sqrt(average((pixel) => (pixel / 255 - mean) ** 2));
  return { mean, std: counts.some((count) => count === total) ? 1 : std };
}

/** How often each value from 0 to 255 is among bytes that come in parts: whole numbers, which add up exactly. */
export class PixelCounts {
  /** Four tables in turn: a table that counts the same value again waits for its last addition. */
  readonly #tables = new Float64Array(4 * 256);

  /** Counts the bytes `start` to `end` (not included). */
  add(bytes: Uint8Array, start: number, end: number): void {
    const tables = this.#tables;
    const last = end - ((end - start) % 4);
    for (let at = start; at < last; at += 4) {
      const a = bytes[at];
      const b = 256 + bytes[at + 1];
      const c = 512 + bytes[at + 2];
      const d = 768 + bytes[at + 3];
      tables[a] = tables[a] + 1;
      tables[b] = tables[b] + 1;
      tables[c] = tables[c] + 1;
      tables[d] = tables[d] + 1;
    }
    for (let at = last; at < end; at++) {
      const pixel = bytes[at];
      tables[pixel] = tables[pixel] + 1;
    }
  }

  /** By value. */
  get counts(): Float64Array {
    const tables = this.#tables;
    const sum = (pixel: number) => [0, 256, 512, 768].reduce((all, table) => all + tables[table + pixel], 0);
    return Float64Array.from({ length: 256 }, (_, pixel) => sum(pixel));
  }
}
