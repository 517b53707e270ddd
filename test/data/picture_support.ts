import { readFileSync } from "node:fs";

/** A picture of 13 x 9 that Pillow wrote, or what Pillow reads of it. */
export function picture(name: string): Uint8Array {
  return Uint8Array.from(readFileSync(new URL(`../../crates/images/tests/fixtures/${name}`, import.meta.url)));
}

/** Pillow's pixels [height, width, channels] of a picture as planes [channels, height, width]. */
export function planes(name: string, channels = 3): number[] {
  const pixels = picture(name);
  return Array.from({ length: channels }, (_, c) => Array.from(pixels).filter((_, i) => i % channels === c)).flat();
}
