import { expect, test } from "vitest";
import { PixelCounts } from "../../src/data/statistics.js";

test("every byte is counted once, whatever the parts", () => {
  const bytes = Uint8Array.from({ length: 1003 }, (_, i) => (i * i * 13 + 7 * i) % 256);
  const expected = new Float64Array(256);
  for (const byte of bytes.subarray(1)) expected[byte] = (expected[byte] as number) + 1;
  for (const width of [1, 2, 3, 4, 5, 64, 1002]) {
    const counted = new PixelCounts();
    for (let start = 1; start < 1003; start += width) counted.add(bytes, start, Math.min(start + width, 1003));
    expect(counted.counts).toEqual(expected);
  }
});
