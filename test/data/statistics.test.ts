import { expect, test } from "vitest";
import { MemoryRows } from "../../src/data/row_source.js";
import { measureColumns, PixelCounts } from "../../src/data/statistics.js";
import { measure, measureChannels } from "./support.js";

test("the mean and the population's standard deviation of pixels in [0, 1]", () => {
  // 0, 0.2, 0.4, 1: mean 0.4, squares of the distances .16, .04, 0, .36.
  const { mean, std } = measure(Uint8Array.of(0, 51, 102, 255));
  expect(mean).toBeCloseTo(0.4, 15);
  expect(std).toBeCloseTo(Math.sqrt(0.14), 15);
});

test("against a plain two-pass sum", () => {
  const pixels = Uint8Array.from({ length: 9999 }, (_, i) => (i * i * 7) >> 3);
  const mean = pixels.reduce((sum, p) => sum + p / 255, 0) / pixels.length;
  const variance = pixels.reduce((sum, p) => sum + (p / 255 - mean) ** 2, 0) / pixels.length;
  const got = measure(pixels);
  expect(got.mean).toBeCloseTo(mean, 12);
  expect(got.std).toBeCloseTo(Math.sqrt(variance), 12);
});

test.each([0, 1, 77, 255])("pixels that are all %i divide by 1", (pixel) => {
  expect(measure(new Uint8Array(1001).fill(pixel))).toEqual({ mean: pixel / 255, std: 1 });
});

test("by channel, over the images of indices", () => {
  // Two channels of two pixels; the second image is left out.
  const pixels = Uint8Array.of(0, 51, 255, 255, 9, 9, 9, 9, 102, 255, 0, 0);
  const { mean, std } = measureChannels(pixels, 2, 4, Int32Array.of(0, 2)) as { mean: number[]; std: number[] };
  // 0, 0.2, 0.4, 1 and 1, 1, 0, 0.
  expect(mean).toEqual([expect.closeTo(0.4, 15), 0.5]);
  expect(std).toEqual([expect.closeTo(Math.sqrt(0.14), 15), 0.5]);
});

test("one channel gives numbers, the same bits as of all its pixels", () => {
  const pixels = Uint8Array.from({ length: 600 }, (_, i) => (i * i) >> 4);
  expect(
    measureChannels(
      pixels,
      1,
      6,
      Int32Array.from({ length: 100 }, (_, i) => i),
    ),
  ).toEqual(measure(pixels));
});
test("every byte is counted once, whatever the parts", () => {
  const bytes = Uint8Array.from({ length: 1003 }, (_, i) => (i * i * 13 + 7 * i) % 256);
  const expected = new Float64Array(256);
  for (const byte of bytes.subarray(1)) expected[byte] += 1;
  for (const width of [1, 2, 3, 4, 5, 64, 1002]) {
    const counted = new PixelCounts();
    for (let start = 1; start < 1003; start += width) counted.add(bytes, start, Math.min(start + width, 1003));
    expect(counted.counts).toEqual(expected);
  }
});

test("columns that stay on the disk are measured a part at a time, with the bits of all at once", async () => {
  const rows = new MemoryRows(
    Float64Array.from({ length: 500 * 700 }, (_, i) => Math.sin(i) / (1 + (i % 13))),
    [700],
  );
  const reads: number[] = [];
  const streamed = {
    length: rows.length,
    shape: rows.shape,
    dtype: rows.dtype,
    read(start: number, end: number) {
      reads.push(start, end);
      return rows.read(start, end);
    },
  };
  const visited: number[] = [];
  const indices = Int32Array.from({ length: 250 }, (_, i) => 2 * i);
  const measured = await measureColumns(streamed, indices, [(data) => void visited.push(data.length)]);
  expect(measured).toEqual(await measureColumns(rows, indices, []));
  // Two passes in parts of 187 rows of 5600 bytes, which a mebibyte holds.
  expect(reads).toEqual([0, 187, 187, 374, 374, 500, 0, 187, 187, 374, 374, 500]);
  expect(visited).toEqual([187 * 700, 187 * 700, 126 * 700]);
});
