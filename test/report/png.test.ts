import { inflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { encodePng, imageUri } from "../../src/report/png.js";
import { images } from "./support.js";

/** The size and the rows of a PNG without filters; its checksums are the browser's to check. */
function decode(png: Uint8Array): { width: number; height: number; colour: number; rows: number[][] } {
  const bytes = Buffer.from(png);
  expect(bytes.subarray(0, 8)).toEqual(Buffer.from("\x89PNG\r\n\x1a\n", "latin1"));
  const [width, height, colour] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20), bytes[25] as number];
  const data = bytes.indexOf("IDAT");
  const raw = inflateSync(bytes.subarray(data + 4, data + 4 + bytes.readUInt32BE(data - 4)));
  const stride = raw.length / height;
  return {
    width,
    height,
    colour,
    rows: Array.from({ length: height }, (_, y) => [...raw.subarray(y * stride, (y + 1) * stride)]),
  };
}

function decodeUri(uri: string) {
  const [head, base64] = uri.split(",") as [string, string];
  expect(head).toBe("data:image/png;base64");
  return decode(Buffer.from(base64, "base64"));
}

test("grey and RGB pixels, each row after the number of its filter", () => {
  expect(decode(encodePng(Uint8Array.of(1, 2, 3, 4, 5, 6), 3, 2))).toEqual({
    width: 3,
    height: 2,
    colour: 0,
    rows: [
      [0, 1, 2, 3],
      [0, 4, 5, 6],
    ],
  });
  expect(decode(encodePng(Uint8Array.of(1, 2, 3, 4, 5, 6), 1, 2))).toEqual({
    width: 1,
    height: 2,
    colour: 2,
    rows: [
      [0, 1, 2, 3],
      [0, 4, 5, 6],
    ],
  });
});

test("the values of an image become its pixels again, channel by channel", () => {
  const data = images(3);
  for (let i = 0; i < 3; i++) {
    const { inputs } = data.slice(i, i + 1);
    const { width, height, colour, rows } = decodeUri(
      imageUri(inputs.data, data.image as NonNullable<typeof data.image>),
    );
    expect([width, height, colour]).toEqual([5, 4, 2]);
    const pixel = (y: number, x: number, channel: number) => data.pixels[i * 60 + channel * 20 + y * 5 + x];
    const expected = rows.map((_, y) => [
      0,
      ...Array.from({ length: 15 }, (_, k) => pixel(y, Math.floor(k / 3), k % 3)),
    ]);
    expect(rows).toEqual(expected);
  }
});

test("what lies outside of 0 to 255 is cut off; of two channels the first is shown", () => {
  const layout = { channels: 2, height: 1, width: 3, mean: [0.5, 0], std: [1, 1] };
  expect(decodeUri(imageUri(Float32Array.of(-9, 0, 9, 1, 1, 1), layout))).toEqual({
    width: 3,
    height: 1,
    colour: 0,
    rows: [[0, 0, 128, 255]],
  });
});
