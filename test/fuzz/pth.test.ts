import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkValue, isTensor } from "../../src/checkpoint/checkpoint_value.js";
import type { CheckpointValue } from "../../src/checkpoint/index.js";
import { plainValue } from "../../src/checkpoint/plain_value.js";
import { decodePth, encodePth, openPth } from "../../src/checkpoint/pth.js";
import { IntTensor, LongTensor, Tensor } from "../../src/index.js";
import {
  archive,
  bytesOfFixture,
  dictOf,
  legacy,
  legacyStorageOps,
  op,
  storageOps,
  tensorOps,
} from "../checkpoint/support.js";
import { check, damaged, memoryOf, readOr, sometimes, TIMEOUT } from "./support.js";

async function readAll(bytes: Uint8Array): Promise<CheckpointValue> {
  const { root, storages } = await openPth(bytes, "x");
  return plainValue(root, storages, "x").value;
}

function tensorsIn(value: unknown): ArrayBufferView[] {
  if (isTensor(value)) return [value.data];
  if (typeof value !== "object" || value === null) return [];
  return (value instanceof Map ? [...value.values()] : Object.values(value)).flatMap(tensorsIn);
}

/**
 * Reads as state dict, as one under a key, and as a whole checkpoint: each gives values that the file's length backs,
 * or BAD_CHECKPOINT.
 */
async function survives(bytes: Uint8Array): Promise<void> {
  const state = await readOr("BAD_CHECKPOINT", () => decodePth(bytes, "x"));
  const keyed = await readOr("BAD_CHECKPOINT", () => decodePth(bytes, "x", { key: "model" }));
  const all = await readOr("BAD_CHECKPOINT", () => readAll(bytes));
  // A byte takes four in memory, and strided views as much again as the file.
  for (const arrays of [
    ...[state, keyed].map((read) => read?.map(({ tensor }) => tensor.data) ?? []),
    tensorsIn(all),
  ]) {
    expect(memoryOf(arrays)).toBeLessThanOrEqual(5 * bytes.length);
  }
  // What was read can be written again.
  if (all !== null) checkValue(all, "value");
}

const fixtures = [
  "state_dict.pth",
  "training.pth",
  "plain_values.pth",
  "strided.pth",
  "half.pth",
  "two_models.pth",
  "narrow.pth",
  "numpy.pth",
  "others.pth",
  "legacy/state_dict.pth",
  "legacy/strided.pth",
  "legacy/narrow.pth",
  "legacy/views.pth",
  "legacy/others.pth",
  "legacy/module.pth",
];

describe("a .pth file", () => {
  it.each(fixtures)(
    "%s of PyTorch, damaged",
    async (name) => {
      await check([damaged(bytesOfFixture(name))], survives, 0.2);
    },
    TIMEOUT,
  );

  it(
    "of any bytes behind the zip's signature",
    async () => {
      const bytes = fc.uint8Array({ maxLength: 200 }).map((rest) => Uint8Array.from([0x50, 0x4b, 3, 4, ...rest]));
      await check([bytes], survives);
    },
    TIMEOUT,
  );

  it(
    "before 1.6, of any storages, lengths and parts",
    async () => {
      const number = fc.oneof(fc.nat({ max: 5 }), fc.constantFrom(2 ** 31, 2 ** 40, 2 ** 53 - 1, 2 ** 53));
      const all = { 0: new Uint8Array(16), 1: new Uint8Array(4), 2: new Uint8Array(0) };
      const key = fc.constantFrom("0", "1", "2" as const);
      const part = fc
        .tuple(number, number)
        .map(([offset, count]) => op.tuple(op.text("9"), op.int(offset), op.int(count)));
      const type = fc.constantFrom("BoolStorage", "ComplexFloatStorage", "OddStorage");
      const tensor = fc
        .record({
          key,
          count: sometimes(number, 5),
          type: sometimes(type, 8),
          part: sometimes(part, 3),
          offset: fc.nat({ max: 2 }),
          length: fc.nat({ max: 3 }),
        })
        .map(({ key, count = all[key].length / 4, type, part, offset, length }) => ({
          key,
          ops: tensorOps({
            storage: legacyStorageOps(key, count, type, part),
            offset: op.int(offset),
            shape: op.tuple(op.int(length)),
          }),
        }));
      const keys = sometimes(fc.array(key, { maxLength: 3 }), 5);
      await check(
        [fc.array(tensor, { maxLength: 3 }), keys, sometimes(fc.uint8Array({ maxLength: 9 }), 5)],
        async (tensors, keys, tail = new Uint8Array(0)) => {
          const pickle = `${op.proto}}(${tensors.map(({ ops }, i) => op.text(`w${i}`) + ops).join("")}u.`;
          const storages = Object.fromEntries(tensors.map(({ key }) => [key, all[key]]));
          const listed = keys && `](${keys.map(op.text).join("")}e`;
          await survives(legacy(pickle, storages, { keys: listed, rest: Buffer.from(tail).toString("latin1") }));
        },
      );
    },
    TIMEOUT,
  );

  it(
    "with a pickle of any instructions, its checksums right",
    async () => {
      const number = fc.oneof(fc.nat({ max: 8 }), fc.constantFrom(2 ** 31, 2 ** 32 - 1, 2 ** 40, 2 ** 53 - 1, 2 ** 53));
      const count = fc.nat({ max: 3 });
      const piece = fc.oneof(
        fc.constantFrom(
          "(",
          ")",
          "]",
          "}",
          "t",
          "u",
          "s",
          "e",
          "a",
          "b",
          "R",
          "Q",
          "N",
          "0",
          ".",
          "\x85",
          "\x86",
          "\x87",
        ),
        fc.constantFrom(
          "\x88",
          "\x89",
          "q\x00",
          "q\x01",
          "h\x00",
          "h\x01",
          op.ordered,
          "J\xff\xff\xff\xff",
          "\x81",
          "\x93",
        ),
        fc.constantFrom(
          "G\x7f\xf0\x00\x00\x00\x00\x00\x00",
          op.global("os", "system"),
          op.global("torch", "FloatStorage"),
          op.global("numpy", "dtype"),
          op.global("numpy.core.multiarray", "scalar"),
          op.global("_codecs", "encode"),
          op.text("f8"),
          op.text("<"),
          op.text("latin1"),
          op.text("12345678"),
        ),
        fc.constantFrom(
          tensorOps(),
          storageOps(),
          op.text("_metadata"),
          op.text("model"),
          op.text("w"),
          op.text("state"),
          `}${op.text("a")}Ns`,
        ),
        number.map(op.int),
        fc.array(number, { maxLength: 3 }).map((shape) => op.tuple(...shape.map(op.int))),
        fc
          .record({ offset: number, length: number, stride: number })
          .map(({ offset, length, stride }) =>
            tensorOps({ offset: op.int(offset), shape: op.tuple(op.int(length)), strides: op.tuple(op.int(stride)) }),
          ),
        fc
          .tuple(
            count,
            number,
            fc.constantFrom("FloatStorage", "LongStorage", "HalfStorage", "BoolStorage", "ComplexFloatStorage"),
          )
          .map(([key, n, type]) => tensorOps({ storage: storageOps(String(key), n, type) })),
        fc.string({ maxLength: 3, unit: "binary" }).map((text) => op.text(text)),
        fc.uint8Array({ maxLength: 3 }).map((bytes) => String.fromCharCode(...bytes)),
      );
      const storages = { 0: new Uint8Array(16), 1: new Uint8Array(32), 2: new Uint8Array(0) };
      await check(
        [fc.array(piece, { maxLength: 40 })],
        async (pieces) => {
          await survives(archive(`${op.proto}${pieces.join("")}.`, storages));
          await survives(archive(`${op.proto}}(${op.text("w")}${pieces.join("")}u.`, storages));
          await survives(archive(`${dictOf(tensorOps()).slice(0, -2)}${pieces.join("")}u.`, storages));
        },
        0.4,
      );
    },
    TIMEOUT,
  );

  it(
    "of a valid pickle that is damaged, its checksums right",
    async () => {
      const tensors = `${op.text("w")}${tensorOps()}${op.text("v")}${tensorOps()}`;
      const valid = Uint8Array.from(Buffer.from(`${op.proto}${op.ordered}(${tensors}u.`, "latin1"));
      await check([damaged(valid)], (pickle) => survives(archive(Buffer.from(pickle).toString("latin1"))));
    },
    TIMEOUT,
  );
});

describe("a checkpoint of any values", () => {
  const tensor = fc.oneof(
    fc.float32Array({ maxLength: 5 }).map((data) => new Tensor(data)),
    fc.float().map((x) => new Tensor(Float32Array.of(x), [1, 1])),
    fc.int32Array({ maxLength: 5 }).map((data) => new IntTensor(data)),
    fc.bigInt64Array({ maxLength: 5 }).map((data) => new LongTensor(data)),
  );
  const scalar = fc.oneof(
    fc.constantFrom(null, true, false),
    fc.double(),
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
    fc.string({ unit: "grapheme" }),
  );
  const { value } = fc.letrec<{ value: CheckpointValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5, depthSize: "small" },
      scalar,
      tensor,
      fc.array(tie("value"), { maxLength: 5 }),
      fc.array(tie("value"), { maxLength: 5 }).map((items) => Object.freeze(items)),
      fc.dictionary(fc.string({ unit: "grapheme" }), tie("value"), { maxKeys: 4, noNullPrototype: true }),
      fc
        .uniqueArray(
          fc.tuple(
            fc.maxSafeInteger().map((n) => n + 0),
            tie("value"),
          ),
          { selector: ([key]) => key, minLength: 1, maxLength: 3 },
        )
        .map((entries) => new Map(entries)),
    ),
  }));

  it(
    "is read as it was written",
    async () => {
      await check([value], async (written) => {
        checkValue(written, "value");
        expect(await readAll(encodePth(written, { ordered: false }))).toEqual(written);
      });
    },
    TIMEOUT,
  );

  it(
    "or is refused by name: any JavaScript value",
    async () => {
      const anything = fc.anything({
        withBigInt: true,
        withDate: true,
        withMap: true,
        withSet: true,
        withTypedArray: true,
      });
      await check([anything], async (written) => {
        const bytes = await readOr("BAD_ARGUMENT", () => {
          checkValue(written, "value");
          return encodePth(written as CheckpointValue, { ordered: false });
        });
        if (bytes !== null) await readAll(bytes);
      });
    },
    TIMEOUT,
  );
});
