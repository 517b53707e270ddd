import { readFileSync } from "node:fs";

/** A image of 13 x 9 that Pillow wrote, or what Pillow reads of it. */
export function image(name: string): Uint8Array {
  return Uint8Array.from(readFileSync(new URL(`../../crates/images/tests/fixtures/${name}`, import.meta.url)));
}

/** Pillow's pixels [height, width, channels] of a image as planes [channels, height, width]. */
export function planes(name: string, channels = 3): number[] {
  const pixels = image(name);
  return Array.from({ length: channels }, (_, c) => Array.from(pixels).filter((_, i) => i % channels === c)).flat();
}
