/** How often each value from 0 to 255 is among bytes that come in parts: whole numbers, which add up exactly. */
export class PixelCounts {
  /** Four tables in turn: a table that counts the same value again waits for its last addition. */
  readonly #tables = new Float64Array(4 * 256);

  /** Counts the bytes `start` to `end` (not included). */
  add(bytes: Uint8Array, start: number, end: number): void {
    const tables = this.#tables;
    const last = end - ((end - start) % 4);
    for (let at = start; at < last; at += 4) {
      const a = bytes[at] as number;
      const b = 256 + (bytes[at + 1] as number);
      const c = 512 + (bytes[at + 2] as number);
      const d = 768 + (bytes[at + 3] as number);
      tables[a] = (tables[a] as number) + 1;
      tables[b] = (tables[b] as number) + 1;
      tables[c] = (tables[c] as number) + 1;
      tables[d] = (tables[d] as number) + 1;
    }
    for (let at = last; at < end; at++) {
      const pixel = bytes[at] as number;
      tables[pixel] = (tables[pixel] as number) + 1;
    }
  }

  /** By value. */
  get counts(): Float64Array {
    const tables = this.#tables;
    const sum = (pixel: number) =>
      [0, 256, 512, 768].reduce((all, table) => all + (tables[table + pixel] as number), 0);
    return Float64Array.from({ length: 256 }, (_, pixel) => sum(pixel));
  }
}
