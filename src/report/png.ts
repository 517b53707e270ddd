import { crc32, deflateSync } from "node:zlib";
import type { ImageLayout } from "../data/index.js";

/**
 * The values of one image as a PNG in a data URI: pixel = 255 (value * std + mean), rounded and clamped to 0 to 255.
 * Three channels are red, green and blue; otherwise only the first is shown, in grey.
 */
export function imageUri(values: Float32Array, { channels, height, width, mean, std }: ImageLayout): string {
  const shown = channels === 3 ? 3 : 1;
  const pixels = new Uint8ClampedArray(shown * height * width);
  for (let i = 0; i < pixels.length; i++) {
    const [channel, at] = [i % shown, Math.floor(i / shown)];
    const value = values[channel * height * width + at];
    // Rounds to the nearest and clamps by itself.
    pixels[i] = 255 * (value * (std[channel] ?? 1) + (mean[channel] ?? 0));
  }
  const png = encodePng(new Uint8Array(pixels.buffer), width, height);
  return `data:image/png;base64,${Buffer.from(png).toString("base64")}`;
}

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const GREY = 0;
const RGB = 2;

/** Pixels in bytes, row by row, of one channel (grey) or three (RGB) side by side, as a PNG. */
export function encodePng(pixels: Uint8Array, width: number, height: number): Uint8Array {
  const stride = pixels.length / height;
  const rows = Buffer.alloc((stride + 1) * height);
  // Each row begins with the number of its filter, 0: none.
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(y * stride, (y + 1) * stride), y * (stride + 1) + 1);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, stride === width ? GREY : RGB], 8);
  const parts = [chunk("IHDR", header), chunk("IDAT", deflateSync(rows, { level: 9 })), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([Buffer.from(SIGNATURE), ...parts]);
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}
