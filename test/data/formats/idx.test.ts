import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { decodeIdx } from "../../../src/data/formats/idx.js";
import { idx, refusal } from "../support.js";

const pixels = Uint8Array.from({ length: 24 }, (_, i) => i * 11);
const plain = idx([2, 3, 4], pixels);
const gzipped = gzipSync(plain);

describe("what is read", () => {
  test.each<[string, Uint8Array]>([
    ["plain", plain],
    ["gzipped", gzipped],
    ["gzipped, padded with zeros", Buffer.concat([gzipped, Buffer.alloc(5)])],
    ["gzipped in two members", Buffer.concat([gzipSync(plain.subarray(0, 9)), gzipSync(plain.subarray(9))])],
    ["in the middle of other memory", Uint8Array.from([9, ...plain, 9]).subarray(1, plain.length + 1)],
  ])("%s", async (_, bytes) => {
    const { shape, data } = await decodeIdx(bytes, "x", 3);
    expect(shape).toEqual([2, 3, 4]);
    expect(Array.from(data)).toEqual(Array.from(pixels));
  });

  test("labels above 9", async () => {
    const { shape, data } = await decodeIdx(idx([3], [0, 46, 255]), "x", 1);
    expect([shape, ...data]).toEqual([[3], 0, 46, 255]);
  });

  test("gzip that inflates in several parts", async () => {
    const many = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => (i * i) >> 7));
    const bytes = gzipSync(Buffer.concat([idx([1 << 20], []), many]));
    expect(Buffer.compare((await decodeIdx(bytes, "x", 1)).data, many)).toBe(0);
  });
});

const png = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const badLength = [plain.subarray(0, 39), Uint8Array.from([...plain, 7, 7])] as const;
const huge = idx([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], []);
const claiming1GiB = idx([1024, 1024, 1024], [1, 2, 3]);

describe("what is refused, plain and gzipped", () => {
  test.each<[string, Uint8Array, string]>([
    ["nothing", new Uint8Array(0), 'truncated: expected an IDX file, which begins with 4 bytes, got ""'],
    ["three bytes", plain.subarray(0, 3), 'truncated: expected an IDX file, which begins with 4 bytes, got "000008"'],
    ["a foreign file", png, "not an IDX file: byte 0: expected 0000, got 8950"],
    ["signed bytes", idx([1, 1, 1], [1], 9), "byte 2: expected the element type 08 (unsigned bytes), got 09"],
    ["floats", idx([1, 1, 1], [0, 0, 0, 0], 13), "byte 2: expected the element type 08 (unsigned bytes), got 0d"],
    ["labels for images", idx([4], [1, 2, 3, 4]), "byte 3: expected 3 axes, got 1"],
    ["half of a header", plain.subarray(0, 10), "truncated: its header has 16 bytes, the file 10"],
    ["no images", idx([0, 28, 28], []), "byte 4: axis 0 has a length of 0"],
    ["images of no width", idx([2, 28, 0], []), "byte 12: axis 2 has a length of 0"],
    [
      "an impossible shape",
      huge,
      "byte 4: a shape of [4294967295, 4294967295, 4294967295] is more than 2147483647 elements",
    ],
  ])("%s", async (_, bytes, problem) => {
    expect(await refusal("BAD_DATA", () => decodeIdx(bytes, "dir/x", 3))).toBe(`dir/x: ${problem}`);
    expect(await refusal("BAD_DATA", () => decodeIdx(gzipSync(bytes), "dir/x", 3))).toBe(`dir/x: ${problem}`);
  });

  test.each<[string, Uint8Array, string]>([
    ["a last byte that lacks", badLength[0], "truncated: claims 40 bytes, has 39"],
    ["bytes after the end", badLength[1], "claims 40 bytes, but 2 more follow at byte 40"],
    ["a claim of 1 GiB", claiming1GiB, "truncated: claims 1073741840 bytes, has 19"],
    ["gzip without a last byte", gzipSync(badLength[0]), "truncated: claims 40 bytes, inflates to 39"],
    ["gzip of more", gzipSync(badLength[1]), "inflates to more than the 40 bytes it claims"],
    ["gzip cut in its trailer", gzipped.subarray(0, -3), "truncated: its gzip data ends early"],
    ["gzip cut in its data", gzipped.subarray(0, 20), "truncated: its gzip data ends early"],
    ["gzip's magic alone", gzipped.subarray(0, 2), "truncated: its gzip data ends early"],
    ["gzip and other bytes", Buffer.concat([gzipped, png]), "its gzip data is damaged: incorrect header check"],
    ["a wrong checksum", flipped(gzipped, -6), "its gzip data is damaged: incorrect data check"],
    ["a wrong method", flipped(gzipped, 2), "its gzip data is damaged: unknown compression method"],
  ])("%s", async (_, bytes, problem) => {
    expect(await refusal("BAD_DATA", () => decodeIdx(bytes, "dir/x", 3))).toBe(`dir/x: ${problem}`);
  });

  test("every cut of a gzipped file", async () => {
    for (let end = 0; end < gzipped.length; end++) {
      expect(await refusal("BAD_DATA", () => decodeIdx(gzipped.subarray(0, end), "x", 3))).toMatch(/^x: truncated: /);
    }
  });
});

describe("memory", () => {
  const peak = () => process.resourceUsage().maxRSS / 1024;

  test("a bomb of 2 GiB is given up", async () => {
    const zeros = gzipSync(new Uint8Array(1 << 20));
    const bomb = Buffer.concat([gzipSync(plain), ...Array.from({ length: 2048 }, () => zeros)]);
    const before = peak();
    expect(await refusal("BAD_DATA", () => decodeIdx(bomb, "x", 3))).toMatch(/inflates to more than the 40 bytes/);
    expect(peak() - before).toBeLessThan(64);
  });

  test("a claim of 1 GiB in a small file allocates nothing", async () => {
    const bytes = gzipSync(claiming1GiB);
    const problem = `x: truncated: claims 1073741840 bytes, more than its ${bytes.length} bytes of gzip can hold`;
    expect(await refusal("BAD_DATA", () => decodeIdx(bytes, "x", 3))).toBe(problem);
  });
});

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const index = at < 0 ? bytes.length + at : at;
  copy[index] ^= 1;
  return copy;
}
