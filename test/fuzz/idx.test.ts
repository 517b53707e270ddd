import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeIdx } from "../../src/data/formats/idx.js";
import { check, damaged, readOr, TIMEOUT } from "./support.js";

const rank = fc.integer({ min: 1, max: 3 });

async function survives(bytes: Uint8Array, axes: number): Promise<void> {
  const read = await readOr("BAD_DATA", () => decodeIdx(bytes, "x", axes));
  if (read === null) return;
  expect(read.shape).toHaveLength(axes);
  expect(read.data).toHaveLength(read.shape.reduce((product, length) => product * length, 1));
}

/** A file that claims a shape, with some elements. */
function idx(type: number, axes: number, shape: readonly number[], elements: number): Uint8Array {
  const bytes = Buffer.alloc(4 + 4 * shape.length + elements, 7);
  bytes.set([0, 0, type, axes]);
  shape.forEach((length, i) => void bytes.writeUInt32BE(length, 4 + 4 * i));
  return Uint8Array.from(bytes);
}

const valid = idx(8, 3, [2, 3, 4], 24);

describe("an IDX file", () => {
  it(
    "of any bytes",
    async () => {
      await check([fc.uint8Array({ maxLength: 60 }), rank], survives);
    },
    TIMEOUT,
  );

  it(
    "of any claims",
    async () => {
      const length = fc.oneof(fc.nat({ max: 5 }), fc.constantFrom(0, 2 ** 16, 2 ** 31, 2 ** 32 - 1));
      const shape = fc.array(length, { minLength: 1, maxLength: 4 });
      await check(
        [fc.constantFrom(8, 8, 8, 9, 13), fc.nat({ max: 4 }), shape, fc.nat({ max: 130 }), rank, fc.boolean()],
        (type, axes, lengths, elements, expected, zip) => {
          const bytes = idx(type, axes, lengths, elements);
          return survives(zip ? gzipSync(bytes) : bytes, expected);
        },
      );
    },
    TIMEOUT,
  );

  it(
    "that is valid but for some damage, plain and gzipped, inside and outside",
    async () => {
      const gzipped = Uint8Array.from(gzipSync(valid));
      await check([damaged(valid), damaged(gzipped)], async (plain, outside) => {
        for (const bytes of [plain, gzipSync(plain), outside]) await survives(bytes, 3);
      });
    },
    TIMEOUT,
  );

  it(
    "of any elements is read as it was written",
    async () => {
      await check([fc.uint8Array({ minLength: 1, maxLength: 50 })], async (elements) => {
        const bytes = Uint8Array.from([...idx(8, 2, [1, elements.length], 0), ...elements]);
        for (const file of [bytes, gzipSync(bytes)])
          expect([...(await decodeIdx(file, "x", 2)).data]).toEqual([...elements]);
      });
    },
    TIMEOUT,
  );
});
