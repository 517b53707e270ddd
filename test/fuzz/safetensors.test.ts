import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeSafetensors, encodeSafetensors } from "../../src/checkpoint/index.js";
import { IntTensor, LongTensor, Tensor } from "../../src/index.js";
import { check, damaged, memoryOf, readOr, sometimes, TIMEOUT } from "./support.js";

async function survives(bytes: Uint8Array): Promise<void> {
  const read = await readOr("BAD_CHECKPOINT", () => decodeSafetensors(bytes, "x"));
  if (read === null) return;
  // A byte takes four in memory.
  expect(memoryOf(Object.values(read.tensors).map(({ data }) => data))).toBeLessThanOrEqual(4 * bytes.length);
  // What was read can be written again; doubles and halves are floats by then, bytes integers of 32 bits.
  const again = decodeSafetensors(encodeSafetensors(read.tensors, read.metadata), "x");
  expect(again).toEqual(read);
}

function file(header: string | Uint8Array, data: number, length?: bigint): Uint8Array {
  const json = Buffer.from(header);
  const bytes = new Uint8Array(8 + json.length + data);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const state = {
  w: new Tensor(Float32Array.of(1, 2, 3, 4), [2, 2]),
  n: new LongTensor(BigInt64Array.of(5n), []),
  i: new IntTensor(Int32Array.of(1, 2), [2]),
};
const number = fc.oneof(
  fc.nat({ max: 4 }).map((n) => 4 * n),
  fc.nat({ max: 5 }),
  fc.constantFrom(-1, -8, 0.5, 2 ** 31, 2 ** 53, 2 ** 63, 1e308, null, "4"),
);

describe("a .safetensors file", () => {
  it(
    "of any bytes",
    async () => {
      await check([fc.uint8Array({ maxLength: 100 })], survives);
    },
    TIMEOUT,
  );

  it(
    "that is valid but for some damage",
    async () => {
      await check([damaged(encodeSafetensors(state, { k: "v" }))], survives, 3);
    },
    TIMEOUT,
  );

  it(
    "of any JSON, of any length that it claims",
    async () => {
      const length = sometimes(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), 10);
      await check([fc.json(), fc.nat({ max: 20 }), length], (json, data, claimed) =>
        survives(file(json, data, claimed)),
      );
    },
    TIMEOUT,
  );

  it(
    "whose header has the right form, with any numbers in it",
    async () => {
      const entry = fc.record(
        {
          dtype: fc.constantFrom("F32", "F64", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL", "C64", "", 4),
          shape: fc.array(number, { maxLength: 4 }),
          data_offsets: fc.oneof(
            { arbitrary: fc.tuple(number, number), weight: 9 },
            fc.array(number, { maxLength: 3 }),
          ),
        },
        { requiredKeys: ["dtype", "shape", "data_offsets"] },
      );
      const header = fc.array(fc.tuple(fc.constantFrom("a", "b", "__metadata__", "__proto__", ""), entry), {
        maxLength: 4,
      });
      await check(
        [header, fc.nat({ max: 10 })],
        (entries, words) => {
          const json = `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`;
          return survives(file(json, 4 * words));
        },
        3,
      );
    },
    TIMEOUT,
  );

  it(
    "of any tensors and texts is read as it was written",
    async () => {
      const tensor = fc.oneof(
        fc.float32Array({ maxLength: 5 }).map((data) => new Tensor(data)),
        fc.int32Array({ maxLength: 5 }).map((data) => new IntTensor(data, [1, data.length])),
        fc.bigInt64Array({ maxLength: 5 }).map((data) => new LongTensor(data)),
      );
      const keys = fc.string({ unit: "grapheme" }).filter((key) => key !== "__metadata__");
      const tensors = fc.dictionary(keys, tensor, { maxKeys: 5, noNullPrototype: true });
      const metadata = fc.dictionary(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), {
        maxKeys: 3,
        noNullPrototype: true,
      });
      await check([tensors, metadata], (tensors, metadata) => {
        expect(decodeSafetensors(encodeSafetensors(tensors, metadata), "x")).toEqual({ tensors, metadata });
      });
    },
    TIMEOUT,
  );
});
