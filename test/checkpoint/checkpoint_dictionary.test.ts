import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { inspectCheckpoint, load, loadCheckpoint } from "../../src/checkpoint/index.js";
import {
  BatchNorm1d,
  type CheckpointDict,
  IntTensor,
  Linear,
  LongTensor,
  Sequential,
  Tensor,
} from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";
import { archive, fixture, op, tensorOps } from "./support.js";

const folder = temporaryFolder();
const infinity = Number.POSITIVE_INFINITY;

function write(pickle: string): string {
  const file = join(folder, "values.pth");
  writeFileSync(file, archive(op.proto + pickle));
  return file;
}
const refused = async (pickle: string) => (await failure(loadCheckpoint(write(pickle)), "BAD_CHECKPOINT")).message;
const dict = (...items: string[]) => `}(${items.join("")}u`;

describe("the weights of a checkpoint dictionary", () => {
  test("alone under a usual name they are taken, and equal those saved alone", async () => {
    const [nested, alone] = await Promise.all([load(fixture("nested.pth")), load(fixture("state_dict.pth"))]);
    expect(nested).toEqual(alone);
    expect(await load(fixture("nested.pth"), { key: "state_dict" })).toEqual(alone);
    new Sequential(new Linear(2, 3), new BatchNorm1d(3)).loadStateDict(nested);
  });

  test("beside an optimizer and a schedule", async () => {
    const state = await load(fixture("training.pth"));
    const { model } = (await loadCheckpoint(fixture("training.pth"))) as CheckpointDict;
    expect(Object.keys(state)).toHaveLength(9);
    expect(state).toEqual(model);
  });

  test("where there are two, the error names them, and key takes one", async () => {
    const { message } = await failure(load(fixture("two_models.pth")), "BAD_CHECKPOINT");
    expect(message).toContain('state dicts are under "model", "ema": choose one, as in load(file, { key: "model" })');
    expect(message).toContain("on the command line --key model");
    expect(await load(fixture("two_models.pth"), { key: "ema" })).toEqual(await load(fixture("state_dict.pth")));
  });

  test("alone under another name, with a key and without", async () => {
    const file = write(`${dict(op.text("ema"), dict(op.text("w"), tensorOps()))}.`);
    expect(Object.keys(await load(file))).toEqual(["w"]);
    expect(Object.keys(await load(file, { key: "ema" }))).toEqual(["w"]);
  });

  test("beside tensors at the top: those under a usual name, whose others are reported, or those of paths", async () => {
    const both = (top: string, name: string) =>
      write(`${dict(op.text(top), tensorOps(), op.text(name), dict(op.text("w"), tensorOps()))}.`);
    const notes: string[] = [];
    const onNote = (text: string) => notes.push(text);
    expect(Object.keys(await load(both("mean", "model"), { onNote }))).toEqual(["w"]);
    expect(Object.keys(await load(both("fc.weight", "ema"), { onNote }))).toEqual(["fc.weight"]);
    const file = both("mean", "ema");
    expect(notes).toEqual([`${file}: left out "mean" (a tensor)`, `${file}: left out "ema" (a dict)`]);
    const { message } = await failure(load(file), "BAD_CHECKPOINT");
    expect(message).toContain('state dicts are under "ema"; others are at the top, under "": choose one');
    expect(Object.keys(await load(file, { key: "" }))).toEqual(["mean"]);
    expect(Object.keys(await load(file, { key: "ema" }))).toEqual(["w"]);
  });

  test.each<[string, string, RegExp]>([
    ["nested.pth", "model", /holds nothing under "model"; state dicts are under "state_dict"/],
    ["nested.pth", "epoch", /holds a number under "epoch"/],
    ["training.pth", "optimizer", /holds a dict without tensors under "optimizer"; state dicts are under "model"/],
    ["plain_dict.pth", "model", /holds nothing under "model"; its tensors are at its top/],
    ["tensor.pth", "model", /holds a tensor/],
  ])("%s has none under %s", async (name, key, reason) => {
    expect((await failure(load(fixture(name), { key }), "BAD_CHECKPOINT")).message).toMatch(reason);
  });

  test("a key twice, a key that is no text", async () => {
    const [model, weights] = [op.text("model"), dict(op.text("w"), tensorOps())];
    const file = write(`${dict(model, weights, model, weights)}.`);
    expect((await failure(load(file, { key: "model" }), "BAD_CHECKPOINT")).message).toContain('"model" is repeated');
    await failure(load(file, { key: 1 as unknown as string }), "BAD_ARGUMENT");
  });

  test("inspect looks at the same weights", async () => {
    expect(await inspectCheckpoint(fixture("nested.pth"))).toMatchObject({ format: "pth", parameters: 6 + 3 + 3 + 3 });
    expect((await inspectCheckpoint(fixture("two_models.pth"), { key: "ema" })).tensors).toHaveLength(7);
  });
});

describe("loadCheckpoint", () => {
  test("gives every plain value of PyTorch's", async () => {
    const value = (await loadCheckpoint(fixture("plain_values.pth"))) as CheckpointDict;
    const { t, ...rest } = value;
    expect(rest).toEqual({
      int: -5,
      large: 2n ** 60n,
      float: 0.1,
      nan: Number.NaN,
      none: null,
      yes: true,
      text: "späße",
      nested: new Map<number, unknown>([
        [0, [1, [2, "x"]]],
        [7, []],
      ]),
      ordered: { a: {} },
    });
    expect((t as Tensor).toArray()).toEqual([0, 1, 2, 3].map((column) => [column, column + 4, column + 8]));
    const nested = value.nested as Map<number, unknown[]>;
    const frozen = [nested.get(0), nested.get(0)?.[1], nested.get(7)].map(Object.isFrozen);
    expect(frozen, "a tuple is a frozen array, a list is not").toEqual([false, true, true]);
  });

  test("more items than one instruction holds, and a tensor in two places is one", async () => {
    const { list, dict: pairs, again } = (await loadCheckpoint(fixture("large_values.pth"))) as CheckpointDict;
    expect(list).toEqual(Array.from({ length: 2500 }, (_, i) => i));
    expect(Object.values(pairs as CheckpointDict)).toEqual(list);
    const [first, second] = again as LongTensor[];
    expect(first).toBe(second);
    expect(first).toBeInstanceOf(LongTensor);
    expect(first?.data[1999]).toBe(1999n);
  });

  test("a plain state dict, a lone tensor, integers", async () => {
    expect(await loadCheckpoint(fixture("state_dict.pth"))).toEqual(await load(fixture("state_dict.pth")));
    expect(await loadCheckpoint(fixture("tensor.pth"))).toEqual(new Tensor(Float32Array.of(1), [1]));
    const { int } = (await loadCheckpoint(fixture("integers.pth"))) as CheckpointDict;
    expect(int).toEqual(new IntTensor(Int32Array.of(7, -8), [2, 1]));
  });

  test("an infinity that is no tensor's, such as the best loss so far, is a number", async () => {
    expect(await loadCheckpoint(fixture("training.pth"))).toMatchObject({ epoch: 3, best: infinity });
  });

  test.each([
    ["module.pth", /Sequential" is not allowed/],
    ["hostile.pth", /"posix\.system" is not allowed/],
    ["complex.pth", /ComplexFloatStorage": elements of this type are not read/],
    ["expanded.pth", /"x" is an expanded view/],
    ["script.pth", /TorchScript/],
  ])("refuses %s as load does", async (name, reason) => {
    expect((await failure(loadCheckpoint(fixture(name)), "BAD_CHECKPOINT")).message).toMatch(reason);
  });

  test.each<[string, string, RegExp]>([
    ["a value in itself", `}q\x00${op.text("w")}h\x00s.`, /nested deeper than 64, or one contains itself/],
    ["a list in itself", "]q\x00h\x00a.", /contains itself/],
    ["tuples 65 deep", `)${"\x85".repeat(65)}.`, /nested deeper than 64/],
    ["tuples 100,000 deep", `)${"\x85".repeat(100_000)}.`, /nested deeper than 64/],
    [
      "a chain that is short from every place it is met at",
      `(${`)${"\x85".repeat(40)}q\x00`}h\x00${"\x85".repeat(40)}t.`,
      /nested deeper than 64/,
    ],
    ["laughing tuples", `)${"q\x00h\x00\x86".repeat(50)}.`, /holds more than 1048576 values/],
    ["a key twice", `${dict(op.text("a"), "N", op.text("a"), "N")}.`, /the key "a" is repeated/],
    ["a key twice, deep", `${dict(op.text("a"), dict("K\x01", "N", "K\x01", "N"))}.`, /the key "a\.1" is repeated/],
    ["a key that is a tuple", `${dict(")", "N")}.`, /a key in "" is a tuple; only str and int/],
    ["a key that is a float", `${dict("G\x3f\xe0\x00\x00\x00\x00\x00\x00", "N")}.`, /a key in "" is a number/],
    ["a storage", `${dict(op.text("s"), "ctorch\nFloatStorage\n")}.`, /holds a global under "s"/],
    ["a number of 9 bytes", `\x8a\x09${"\x7f".repeat(9)}.`, /a number is too large/],
  ])("refuses %s", async (_, pickle, reason) => {
    expect(await refused(pickle)).toMatch(reason);
  });

  test("keys of Object.prototype are keys like any other", async () => {
    const value = (await loadCheckpoint(
      write(`${dict(op.text("__proto__"), dict(op.text("x"), "K\x01"))}.`),
    )) as object;
    expect(Object.entries(value)).toEqual([["__proto__", { x: 1 }]]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  test("whole numbers of every width, with their signs", async () => {
    const long = (...bytes: number[]) => `\x8a${String.fromCharCode(bytes.length, ...bytes)}`;
    const pickle = `](${long()}${long(0xff)}${long(0, 0x80)}${long(0, 0, 0, 0, 0, 0, 0x80)}${long(...Array(7).fill(255), 127)}e.`;
    expect(await loadCheckpoint(write(pickle))).toEqual([0, -1, -32768, -(2n ** 55n), 2n ** 63n - 1n]);
  });

  test(".safetensors and what is no checkpoint", async () => {
    const file = join(folder, "x.safetensors");
    writeFileSync(file, Buffer.from("\x02\0\0\0\0\0\0\0{}", "latin1"));
    expect((await failure(loadCheckpoint(file), "BAD_CHECKPOINT")).message).toContain("load(file) reads it");
    expect((await failure(load(file, { key: "model" }), "BAD_CHECKPOINT")).message).toContain("no further key");
    await failure(loadCheckpoint(join(folder, "missing.pth")), "NOT_FOUND");
    await failure(loadCheckpoint(""), "BAD_ARGUMENT");
  });
});
