import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { load, loadCheckpoint, save, saveCheckpoint } from "../../src/checkpoint/index.js";
import { type CheckpointValue, IntTensor, Linear, LongTensor, Tensor } from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";

const folder = temporaryFolder();
const file = join(folder, "checkpoint.pth");

async function roundTrip(value: CheckpointValue): Promise<CheckpointValue> {
  await saveCheckpoint(value, file);
  return loadCheckpoint(file, { allowNonFinite: true });
}

describe("what saveCheckpoint writes, loadCheckpoint reads", () => {
  const { MAX_SAFE_INTEGER: most, NaN: nan, POSITIVE_INFINITY: infinity, MIN_VALUE: least } = Number;
  test.each<[string, CheckpointValue]>([
    ["nothing", null],
    ["truth", [true, false]],
    [
      "whole numbers",
      [0, 1, 255, 256, 65535, 65536, 2 ** 31 - 1, 2 ** 31, most, -1, -255, -(2 ** 31), -(2 ** 31) - 1, -most],
    ],
    ["bigints", [2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)]],
    ["fractions", [0.1, -1.5, -0, nan, infinity, -infinity, least, 2 ** 60 + 2 ** 40, 1e300]],
    ["texts", ["", "späße\u{1f600}\n", "x".repeat(70_000), "\0"]],
    ["tuples in lists in tuples", Object.freeze([[], Object.freeze([]), [Object.freeze([1, [2]])], 3, 4])],
    ["dictionaries", { a: {}, "": { "b.c": [{}] }, 7: "a text as key", späße: null }],
    [
      "numbers as keys",
      new Map<number, CheckpointValue>([
        [0, "a"],
        [-1, { b: 1 }],
        [2 ** 40, new Map([[3, null]])],
      ]),
    ],
    [
      "keys of both kinds",
      new Map<string | number, CheckpointValue>([
        ["1", "text"],
        [1, "number"],
      ]),
    ],
    [
      "a long list and a long dictionary",
      [
        Array.from({ length: 3001 }, (_, i) => i),
        Object.fromEntries(Array.from({ length: 2001 }, (_, i) => [`k${i}`, i])),
      ],
    ],
    ["64 levels", Array.from({ length: 63 }).reduce<CheckpointValue>((inner) => [inner], [])],
  ])("%s", async (_, value) => {
    expect(await roundTrip(value)).toStrictEqual(value);
  });

  test("lists come back as lists and tuples as tuples", async () => {
    const [list, tuple] = (await roundTrip([[1], Object.freeze([1])])) as CheckpointValue[];
    expect([Object.isFrozen(list), Object.isFrozen(tuple)]).toEqual([false, true]);
  });

  test("tensors of every type, a view, none, and one in two places", async () => {
    const rows = new Tensor(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]).slice(1, 3);
    const value = {
      rows,
      scalar: new Tensor(Float32Array.of(Number.NaN), []),
      deep: [new IntTensor(Int32Array.of(-1), [1, 1, 1])],
      counters: new Map([[0, new LongTensor(BigInt64Array.of(2n ** 62n), [])]]),
      empty: new Tensor(new Float32Array(0), [0, 3]),
      again: rows,
    };
    expect(await roundTrip(value)).toEqual(value);
  });

  test("weights in it are what load takes", async () => {
    const model = new Linear(2, 3).stateDict();
    await saveCheckpoint({ epoch: 1, model }, file);
    expect(await load(file)).toEqual(await load(file, { key: "model" }));
    expect((await load(file)).weight?.data).toEqual(model.weight?.data);
  });

  test("the same values are the same bytes, as they were at the time of the call", async () => {
    const moving = new Tensor(Float32Array.of(1, 2));
    const other = join(folder, "other.pth");
    const writing = saveCheckpoint({ moving, at: 1 }, file);
    moving.data.fill(9);
    await writing;
    await saveCheckpoint({ moving: new Tensor(Float32Array.of(1, 2)), at: 1 }, other);
    expect(readFileSync(file).equals(readFileSync(other))).toBe(true);
  });

  test("a state dict alone is a plain dict; save writes an OrderedDict", async () => {
    const state = { w: new Tensor(Float32Array.of(1)) };
    await saveCheckpoint(state, file);
    const [plain, ordered] = [readFileSync(file), join(folder, "ordered.pth")];
    await save(state, ordered);
    expect(await load(file)).toEqual(await load(ordered));
    expect(plain.equals(readFileSync(ordered))).toBe(false);
  });
});

describe("what saveCheckpoint refuses before it writes", () => {
  const itself: CheckpointValue[] = [];
  itself.push([itself]);
  const sparse: CheckpointValue[] = [];
  sparse[1] = 1;
  test.each<[string, unknown, RegExp]>([
    ["undefined", undefined, /^value: expected a tensor, a plain object, .* got undefined/],
    ["undefined, deep", { optimizer: { groups: [{ lr: undefined }] } }, /^value\.optimizer\.groups\[0\]\.lr: expected/],
    ["a hole in an array", { list: sparse }, /^value\.list\[0\]: expected .* got undefined/],
    ["a module", { model: new Linear(1, 1) }, /^value\.model: expected .* got a value of type Linear/],
    ["an array of bytes", { data: new Float32Array(2) }, /^value\.data: expected .* got a value of type Float32Array/],
    ["a function", { f: () => 1 }, /^value\.f: expected .* got a function/],
    ["a symbol", [Symbol("x")], /^value\[0\]: expected .* got Symbol\(x\)/],
    ["a date", [new Date(0)], /type Date/],
    ["a set", [new Set([1])], /type Set/],
    ["a key that is no text or number", new Map([[{}, 1]]), /^value: expected keys that are texts or whole numbers/],
    ["a key of half", new Map([[0.5, 1]]), /got 0\.5/],
    ["a number of 65 bits", [2n ** 63n], /^value\[0\]: expected a whole number of 64 bits, got 9223372036854775808n/],
    ["half of a surrogate pair", ["\ud83d"], /^value\[0\]: expected text that can be written in UTF-8/],
    ["the same in a key", { "\ud83d": 1 }, /^value: expected text/],
    ["a list in itself", itself, /at most 64 levels, and no cycle/],
    ["65 levels", Array.from({ length: 64 }).reduce<unknown>((inner) => [inner], []), /at most 64 levels/],
    ["a tuple that no reader takes", Object.freeze(new Array(10_001).fill(0)), /a tuple of at most 10000/],
    ["too many values", new Array(2 ** 19).fill(0), /at most 524288 values/],
  ])("%s", async (_, value, reason) => {
    const { message } = await failure(saveCheckpoint(value as CheckpointValue, join(folder, "no.pth")), "BAD_ARGUMENT");
    expect(message).toMatch(reason);
    expect(readdirSync(folder)).not.toContain("no.pth");
  });

  test("texts that fill more than a reader accepts", async () => {
    const { message } = await failure(saveCheckpoint(["x".repeat(2 ** 24)], join(folder, "no.pth")), "BAD_ARGUMENT");
    expect(message).toMatch(/^value: expected names and texts of at most 16777216 bytes/);
  });

  test.each(["x.safetensors", "x", "x.pt", "a\0.pth", 1 as unknown as string])("the name %j", async (name) => {
    await failure(saveCheckpoint({}, name), "BAD_ARGUMENT");
  });
});
