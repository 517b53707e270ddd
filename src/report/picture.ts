import type { ImageLayout } from "../data/index.js";
import { encodePng } from "./png.js";

/**
 * The values of one image as a PNG in a data URI: pixel = 255 (value * std + mean), rounded and kept within 0 to 255.
 * Three channels are red, green and blue; of any other number the first is shown in grey.
 */
export function pictureOf(values: Float32Array, { channels, height, width, mean, std }: ImageLayout): string {
  const shown = channels === 3 ? 3 : 1;
  const pixels = new Uint8ClampedArray(shown * height * width);
  for (let i = 0; i < pixels.length; i++) {
    const [channel, at] = [i % shown, Math.floor(i / shown)];
    const value = values[channel * height * width + at] as number;
    // Rounds to the nearest and clamps by itself.
    pixels[i] = 255 * (value * (std[channel] ?? 1) + (mean[channel] ?? 0));
  }
  const png = encodePng(new Uint8Array(pixels.buffer), width, height);
  return `data:image/png;base64,${Buffer.from(png).toString("base64")}`;
}
