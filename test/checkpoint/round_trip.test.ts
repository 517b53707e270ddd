import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { decodeSafetensors, encodeSafetensors, inspectCheckpoint, load, save } from "../../src/checkpoint/index.js";
import { BatchNorm1d, IntTensor, Linear, LongTensor, manualSeed, Sequential, Tensor } from "../../src/index.js";
import type { StateDict } from "../../src/nn/state_dict.js";
import { temporaryFolder } from "../support.js";

const folder = temporaryFolder();

function state(): StateDict {
  const special = Float32Array.of(0, -0, 1.5, -1e-45, 3.4e38, Number.POSITIVE_INFINITY);
  return {
    "fc1.weight": new Tensor(special, [2, 3]),
    "bn1.num_batches_tracked": new LongTensor(BigInt64Array.of(-(2n ** 63n)), []),
    scalar: new Tensor(Float32Array.of(7), []),
    empty: new Tensor(new Float32Array(0), [0, 5]),
    'späße.\u{1f600}\n"': new IntTensor(Int32Array.of(-1, 2 ** 31 - 1), [1, 2, 1]),
    deep: new Tensor(
      new Float32Array(6).map((_, i) => i),
      [1, 1, 2, 1, 3],
    ),
    rows: new Tensor(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]).slice(1, 3),
    __proto: new Tensor(Float32Array.of(1), [1]),
    "": new Tensor(Float32Array.of(2), [1]),
  };
}

function expectSame(got: StateDict, expected: StateDict): void {
  expect(Object.keys(got)).toEqual(Object.keys(expected));
  for (const [key, tensor] of Object.entries(expected)) {
    expect(got[key]?.dtype, key).toBe(tensor.dtype);
    expect(got[key]?.shape, key).toEqual(tensor.shape);
    expect(got[key]?.data, key).toEqual(tensor.data);
  }
}

test.each([".pth", ".safetensors", ".PTH"])("what save writes as %s, load reads, value by value", async (extension) => {
  const file = join(folder, `weights${extension}`);
  await save(state(), file);
  expectSame(await load(file, { allowNonFinite: true }), state());
});

test.each([".pth", ".safetensors"])("an empty state dict makes the round trip as %s", async (extension) => {
  const file = join(folder, `empty${extension}`);
  await save({}, file);
  expect(await load(file)).toEqual({});
});

test.each([".pth", ".safetensors"])(
  "the same values are the same bytes as %s, whatever the file's name",
  async (end) => {
    const files = ["one", "two"].map((name) => join(folder, name + end));
    for (const file of files) await save(state(), file);
    const [one, two] = files.map((file) => readFileSync(file));
    expect(one?.equals(two as Buffer)).toBe(true);
  },
);

test("the content decides how a file is read, not its name", async () => {
  const file = join(folder, "misnamed.pth");
  await save(state(), file);
  writeFileSync(file, encodeSafetensors(state()));
  expectSame(await load(file, { allowNonFinite: true }), state());
  expect((await inspectCheckpoint(file)).format).toBe("safetensors");
});

test("save writes the values at the time of the call", async () => {
  const file = join(folder, "moving.pth");
  const moving = new Tensor(Float32Array.of(1, 2), [2]);
  const written = save({ moving }, file);
  moving.data.fill(9);
  await written;
  expect((await load(file)).moving?.toArray()).toEqual([1, 2]);
});

test("a network gets its weights, statistics and counters back", async () => {
  const build = (seed: number) => {
    manualSeed(seed);
    return new Sequential(new Linear(3, 4), new BatchNorm1d(4));
  };
  const [source, target] = [build(1), build(2)];
  const file = join(folder, "network.pth");
  await save(source.stateDict(), file);
  target.loadStateDict(await load(file));
  expectSame(target.stateDict(), source.stateDict());
});

test("more tensors than a batch of the pickle holds", async () => {
  const many = Object.fromEntries(
    Array.from({ length: 2500 }, (_, i) => [`layer.${i}`, new Tensor(Float32Array.of(i), [1])]),
  );
  const file = join(folder, "many.pth");
  await save(many, file);
  expectSame(await load(file), many);
});

test("the data of a .pth file lies at multiples of 64 bytes, as PyTorch's does", async () => {
  const file = join(folder, "aligned.pth");
  await save(state(), file);
  const bytes = readFileSync(file);
  let at = 0;
  while (bytes.toString("latin1", at, at + 4) === "PK\x03\x04") {
    const data = at + 30 + bytes.readUInt16LE(at + 26) + bytes.readUInt16LE(at + 28);
    expect(data % 64).toBe(0);
    at = data + bytes.readUInt32LE(at + 18);
  }
  expect(bytes.toString("latin1", at, at + 4)).toBe("PK\x01\x02");
});

test("every tensor of a .safetensors file lies at a multiple of its width", () => {
  const bytes = Buffer.from(encodeSafetensors(state()));
  const length = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<
    string,
    { dtype: string; data_offsets: [number] }
  >;
  expect((8 + length) % 8).toBe(0);
  for (const { dtype, data_offsets } of Object.values(header))
    expect(data_offsets[0] % (dtype === "I64" ? 8 : 4)).toBe(0);
});

test("metadata is kept by .safetensors", async () => {
  const metadata = {
    epochs: "150",
    note: 'a "quoted" text, späße',
    constructor: "a",
    prototype: "b",
    ["__proto__"]: "c",
  };
  expect(Object.keys(metadata)).toHaveLength(5);
  const bytes = encodeSafetensors(state(), metadata);
  expect(decodeSafetensors(bytes, "x").metadata).toEqual(metadata);
  const file = join(folder, "noted.safetensors");
  await save(state(), file, { metadata });
  expect((await inspectCheckpoint(file)).metadata).toEqual(metadata);
});

test.each<[tensors: unknown, metadata: unknown, code: string, text: string]>([
  [{}, { epoch: 3 }, "BAD_ARGUMENT", 'metadata["epoch"]: expected a text, got 3'],
  [{}, "abc", "BAD_ARGUMENT", 'metadata: expected texts by their keys, got "abc"'],
  [{ a: new Float32Array(2) }, {}, "BAD_ARGUMENT", 'state["a"]: expected a tensor, got a value of type Float32Array'],
  [
    { a: { shape: [5], data: new Float32Array(2), dtype: "float32" } },
    {},
    "BAD_ARGUMENT",
    'state["a"]: expected a tensor, got a value of type Object',
  ],
  [
    new Linear(1, 1),
    {},
    "BAD_ARGUMENT",
    "state: expected a state dict: pass model.stateDict(), got a value of type Linear",
  ],
  [null, {}, "BAD_ARGUMENT", "state: expected a state dict, tensors by their keys, got null"],
])("encodeSafetensors refuses %o with %o", (tensors, metadata, code, text) => {
  const encode = () => encodeSafetensors(tensors as never, metadata as never);
  expect(encode).toThrow(expect.objectContaining({ code, message: text }));
});

test.each([new ArrayBuffer(20), [1, 2, 3], "abc"])("decodeSafetensors refuses %o", (bytes) => {
  const text = /^bytes: expected a Uint8Array, got /;
  expect(() => decodeSafetensors(bytes as never, "n")).toThrow(
    expect.objectContaining({ code: "BAD_DTYPE", message: expect.stringMatching(text) }),
  );
});

test("inspectCheckpoint tells the keys, types, shapes and the number of parameters", async () => {
  const file = join(folder, "inspected.pth");
  await save(new Sequential(new Linear(3, 4), new BatchNorm1d(4)).stateDict(), file);
  const summary = await inspectCheckpoint(file);
  expect(summary).toMatchObject({ format: "pth", bytes: readFileSync(file).length, parameters: 3 * 4 + 4 + 4 + 4 });
  expect(summary.tensors[0]).toEqual({ key: "0.weight", dtype: "float32", shape: [4, 3] });
  expect(summary.tensors.at(-1)).toEqual({ key: "1.num_batches_tracked", dtype: "int64", shape: [] });
});
