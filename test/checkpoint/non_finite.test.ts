import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inspectCheckpoint, load, loadCheckpoint, save, saveCheckpoint } from "../../src/checkpoint/index.js";
import { LongTensor, Tensor } from "../../src/index.js";
import { cpuTime } from "../helpers/cpu_time.js";
import { failure, temporaryFolder } from "../support.js";
import { archive, fixture, op, storageOps, tensorOps } from "./support.js";

const folder = temporaryFolder();
const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

test.each([".pth", ".safetensors"])(
  "NaN in weights is refused by key and index, and read if allowed, %s",
  async (end) => {
    const file = join(folder, `weights${end}`);
    const state = {
      counter: new LongTensor(BigInt64Array.of(1n), []),
      good: new Tensor(Float32Array.of(1, -0, 1e-45, 3.4e38)),
      "fc1.weight": new Tensor(Float32Array.of(0, 1, 2, nan), [2, 2]),
    };
    await save(state, file);
    const { message } = await failure(load(file), "BAD_CHECKPOINT");
    expect(message).toBe(
      `${file}: "fc1.weight" holds NaN as its element 3; allowNonFinite (--allow-non-finite) reads it all the same`,
    );
    expect((await load(file, { allowNonFinite: true }))["fc1.weight"]?.data).toEqual(Float32Array.of(0, 1, 2, nan));
    expect((await inspectCheckpoint(file)).tensors).toHaveLength(3);
  },
);

test("a double beyond float32's range is told from an infinity", async () => {
  const file = join(folder, "double.safetensors");
  const header = '{"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}';
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(file, Buffer.concat([length, Buffer.from(header), new Uint8Array(Float64Array.of(-1e299).buffer)]));
  const { message } = await failure(load(file), "BAD_CHECKPOINT");
  expect(message).toContain('"w" holds -Infinity, or a number beyond float32\'s range, as its element 0;');
});

test("a whole checkpoint names the place; numbers that are no tensors may be infinite", async () => {
  const file = join(folder, "checkpoint.pth");
  const moments = { exp_avg: new Tensor(Float32Array.of(-infinity)) };
  const value = { best: infinity, optimizer: { state: new Map([[0, moments]]) } };
  await saveCheckpoint(value, file);
  const { message } = await failure(loadCheckpoint(file), "BAD_CHECKPOINT");
  expect(message).toContain('"optimizer.state.0.exp_avg" holds -Infinity as its element 0');
  expect(await loadCheckpoint(file, { allowNonFinite: true })).toEqual(value);
});

test("a double past single precision, half's infinity", async () => {
  expect((await failure(load(fixture("double.pth")), "BAD_CHECKPOINT")).message).toContain('"x" holds Infinity');
  expect((await failure(load(fixture("half.pth")), "BAD_CHECKPOINT")).message).toContain("element 7");
  expect((await failure(load(fixture("bfloat16.pth")), "BAD_CHECKPOINT")).message).toContain("element 7");
});

test("of a million and more the first is named, and what lies behind them is refused", async () => {
  const file = join(folder, "many.safetensors");
  const many = new Float32Array(1_000_002).fill(nan, 1);
  await save({ many: new Tensor(many) }, file);
  expect((await failure(load(file), "BAD_CHECKPOINT")).message).toContain('"many" holds NaN as its element 1;');
  const behind = join(folder, "behind.pth");
  const length = 1_000_003;
  const tail = tensorOps({ offset: op.int(length - 1), shape: op.tuple(op.int(1)), storage: storageOps("0", length) });
  const stored = new Float32Array(length).fill(nan, 0, length - 1);
  writeFileSync(behind, archive(`${op.proto}}${op.text("w")}${tail}s.`, { 0: new Uint8Array(stored.buffer) }));
  expect((await failure(load(behind), "BAD_CHECKPOINT")).message).toContain("lies behind more than 1000000 numbers");
});

test("only the view that holds the NaN is refused, not others of its storage", async () => {
  expect((await failure(load(fixture("non_finite.pth")), "BAD_CHECKPOINT")).message).toContain(
    '"rest" holds -Infinity as its element 2',
  );
  const tensor = (offset: number, length: number) =>
    tensorOps({ offset: op.int(offset), shape: op.tuple(op.int(length)), storage: storageOps("0", 6) });
  const values = Float32Array.of(nan, 1, 2, infinity, 3, 4);
  const file = join(folder, "views.pth");
  for (const [offset, length, ok] of [
    [1, 2, true],
    [4, 2, true],
    [0, 1, false],
    [2, 2, false],
    [5, 1, true],
    [1, 5, false],
  ] as const) {
    const pickle = `${op.proto}}${op.text("w")}${tensor(offset, length)}s.`;
    writeFileSync(file, archive(pickle, { 0: new Uint8Array(values.buffer) }));
    if (ok) expect((await load(file)).w?.size).toBe(length);
    else await failure(load(file), "BAD_CHECKPOINT");
  }
});

test("many views of one large storage are looked at once", async () => {
  const pickle = Array.from(
    { length: 20_000 },
    (_, i) => op.text(`w${i}`) + tensorOps({ storage: storageOps("0", 2 ** 20), shape: op.tuple(op.int(2 ** 20)) }),
  );
  const batches = Array.from({ length: 40 }, (_, i) => `(${pickle.slice(500 * i, 500 * i + 500).join("")}u`);
  const file = join(folder, "many.pth");
  writeFileSync(file, archive(`${op.proto}}${batches.join("")}.`, { 0: new Uint8Array(4 * 2 ** 20) }));
  const start = cpuTime();
  expect(Object.keys(await load(file))).toHaveLength(20_000);
  // Each looked at by itself, it would be 80 GB.
  expect(cpuTime() - start).toBeLessThan(5000);
});

test.each(["true", 1, null])("allowNonFinite: %o is neither true nor false", async (allowNonFinite) => {
  const file = join(folder, "flag.safetensors");
  await save({ a: new Tensor(Float32Array.of(1)) }, file);
  const options = { allowNonFinite: allowNonFinite as never };
  for (const read of [load(file, options), loadCheckpoint(file, options)]) {
    expect((await failure(read, "BAD_ARGUMENT")).message).toContain("allowNonFinite: expected true or false, got ");
  }
});

test("onNote that is no function is refused where nothing is to be noted", async () => {
  const file = join(folder, "noted.safetensors");
  await save({ a: new Tensor(Float32Array.of(1)) }, file);
  const options = { onNote: 7 as never };
  for (const read of [load(file, options), inspectCheckpoint(file, options)]) {
    expect((await failure(read, "BAD_ARGUMENT")).message).toBe("onNote: expected a function, got 7");
  }
});
