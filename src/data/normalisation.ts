/** Pixels, scaled to [0, 1], become (pixel - mean) / std. */
export interface Normalisation {
  readonly mean: number;
  readonly std: number;
}

/**
 * The mean and the population's standard deviation of pixels scaled to [0, 1]. Where all are equal `std` is 1, so that
 * they become 0.
 */
export function measure(pixels: Uint8Array): Normalisation {
  // Counted first: whole numbers add up exactly.
  const counts = new Uint32Array(256);
  // By index: the iterator of a typed array is several times slower.
  for (let i = 0; i < pixels.length; i++) {
    const pixel = pixels[i] as number;
    counts[pixel] = (counts[pixel] as number) + 1;
  }
  const average = (of: (pixel: number) => number) =>
    counts.reduce((sum, count, pixel) => sum + count * of(pixel), 0) / pixels.length;
  const mean = average((pixel) => pixel) / 255;
  const std = Math.sqrt(average((pixel) => (pixel / 255 - mean) ** 2));
  return { mean, std: counts.some((count) => count === pixels.length) ? 1 : std };
}
