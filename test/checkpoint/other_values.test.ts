import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { decodeSafetensors, inspectCheckpoint, load, loadCheckpoint } from "../../src/checkpoint/index.js";
import { type CheckpointDict, IntTensor, Tensor } from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";
import { archive, fixture, op, tensorOps } from "./support.js";

const folder = temporaryFolder();

function write(pickle: string): string {
  const file = join(folder, "values.pth");
  writeFileSync(file, archive(op.proto + pickle));
  return file;
}
const dict = (...items: string[]) => `}(${items.join("")}u`;

describe("integers of fewer than 32 bits, and bool", () => {
  const expected = { int16: [300, -300], int8: [127, -128], uint8: [0, 255], bool: [1, 0] };

  test("of PyTorch come as int32, with their type in the summary", async () => {
    const state = await load(fixture("narrow.pth"));
    for (const [key, values] of Object.entries(expected))
      expect(state[key]).toEqual(new IntTensor(Int32Array.from(values)));
    expect(await loadCheckpoint(fixture("narrow.pth"))).toEqual(state);
    const { tensors, parameters } = await inspectCheckpoint(fixture("narrow.pth"));
    expect(tensors).toEqual(Object.keys(expected).map((key) => ({ key, dtype: key, shape: [2] })));
    expect(parameters).toBe(0);
  });

  test("in a strided view", async () => {
    const { x } = await load(fixture("columns.pth"));
    expect([x?.dtype, x?.toArray()]).toEqual([
      "int32",
      [
        [0, 3],
        [1, 4],
        [2, 5],
      ],
    ]);
  });

  test("of .safetensors too", () => {
    const header = JSON.stringify({
      a: { dtype: "I16", shape: [2], data_offsets: [0, 4] },
      b: { dtype: "I8", shape: [2], data_offsets: [4, 6] },
      c: { dtype: "U8", shape: [2], data_offsets: [6, 8] },
      d: { dtype: "BOOL", shape: [2], data_offsets: [8, 10] },
    });
    const bytes = Buffer.concat([
      Buffer.from(BigUint64Array.of(BigInt(header.length)).buffer),
      Buffer.from(header),
      Buffer.from([0x2c, 0x01, 0xd4, 0xfe, 127, 128, 0, 255, 1, 0]),
    ]);
    const { tensors } = decodeSafetensors(bytes, "x");
    expect(Object.values(tensors).map((tensor) => tensor.toArray())).toEqual(Object.values(expected));
    expect(Object.values(tensors).every((tensor) => tensor instanceof IntTensor)).toBe(true);
  });
});

describe("NumPy's numbers", () => {
  test("are numbers, large ones bigint, and true and false", async () => {
    const { best } = (await loadCheckpoint(fixture("numpy.pth"))) as CheckpointDict;
    expect(best).toEqual({
      f8: 0.93,
      f4: 1.5,
      f2: -2.5,
      b1: true,
      i1: -3,
      u1: 200,
      i2: -300,
      u2: 60000,
      i4: -70000,
      u4: 2 ** 32 - 1,
      i8: -(2n ** 62n),
      small: 7,
      u8: 2n ** 53n,
    });
  });

  test("do not stand in the way of the weights, with a key or without", async () => {
    const expected = await load(fixture("state_dict.pth"));
    expect(await load(fixture("numpy.pth"))).toEqual(expected);
    expect(await load(fixture("numpy.pth"), { key: "model" })).toEqual(expected);
  });

  const dtype = (code: string, order = "<", rest = "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00") =>
    `${op.global("numpy", "dtype")}${op.tuple(op.text(code), "\x89", "\x88")}R${op.tuple("K\x03", op.text(order), rest)}b`;
  const bytes = (text: string) => `${op.global("_codecs", "encode")}${op.tuple(op.text(text), op.text("latin1"))}R`;
  const scalar = (...args: string[]) => `${op.global("numpy.core.multiarray", "scalar")}${op.tuple(...args)}R`;

  test("of NumPy 1 are named otherwise", async () => {
    expect(await loadCheckpoint(write(`${scalar(dtype("i2"), bytes("\x01\x80"))}.`))).toBe(-32767);
  });

  test.each<[string, string, RegExp]>([
    ["a text", scalar(dtype("U1"), bytes("a\0\0\0")), /a NumPy value of type "<U1": only b1, i1, .* are read/],
    ["the other byte order", scalar(dtype("f8", ">"), bytes("12345678")), /type ">f8"/],
    ["a byte with an order", scalar(dtype("u1", "<"), bytes("1")), /type "<u1"/],
    ["too few bytes", scalar(dtype("f8"), bytes("1234")), /type "f8" in 4 bytes/],
    ["too many bytes", scalar(dtype("i1", "|"), bytes("12")), /type "i1" in 2 bytes/],
    ["a number past 64 bits", scalar(dtype("u8"), bytes("\xff".repeat(8))), /a number is too large/],
    ["no type", scalar("N", bytes("1")), /scalar with other arguments than NumPy's/],
    ["no bytes", scalar(dtype("f8"), op.text("12345678")), /scalar with other arguments than NumPy's/],
    ["a third argument", scalar(dtype("f8"), bytes("12345678"), "N"), /scalar with other arguments than NumPy's/],
    ["a type of another form", `${op.global("numpy", "dtype")}${op.tuple(op.text("f8"))}R`, /REDUCE of "numpy\.dtype"/],
    ["a type that is built twice", `${dtype("f8")}}b`, /a dict was expected, not a dtype/],
    [
      "a type without a state",
      `${op.global("numpy", "dtype")}${op.tuple(op.text("f8"), "\x89", "\x88")}R}b`,
      /is none/,
    ],
    [
      "bytes that are none",
      `${op.global("_codecs", "encode")}${op.tuple(op.text("\u0100"), op.text("latin1"))}R`,
      /encode/,
    ],
    [
      "another codec",
      `${op.global("_codecs", "encode")}${op.tuple(op.text("a"), op.text("rot13"))}R`,
      /REDUCE of "_codecs/,
    ],
    ["bytes alone", bytes("12"), /holds a bytes under ""/],
    ["a type alone", dtype("f8"), /holds a dtype under ""/],
  ])("refuses %s", async (_, pickle, reason) => {
    expect((await failure(loadCheckpoint(write(`${pickle}.`)), "BAD_CHECKPOINT")).message).toMatch(reason);
  });
});

describe("values of other classes beside the weights", () => {
  test("are left out, with a key and without, reported by name, and nothing is run", async () => {
    const notes: string[] = [];
    const state = await load(fixture("others.pth"), { key: "model", onNote: (text) => notes.push(text) });
    expect(state).toEqual(await load(fixture("state_dict.pth")));
    expect(await load(fixture("others.pth"))).toEqual(state);
    expect(notes).toEqual([
      `${fixture("others.pth")}: left out "args" (a value of "argparse.Namespace"), "classes" (a value of "__builtin__.set"), ` +
        '"curve" (a value of "numpy._core.multiarray._reconstruct"), "device" (a value of "torch.device"), ' +
        '"size" (a value of "torch.Size"), "wave" (a value of "torch.ComplexFloatStorage"), ' +
        '"kind" (a value of "torch.float32"), "wide" (a value of "torch._utils._rebuild_tensor_v3"), ...',
    ]);
    expect(existsSync("pwned.txt")).toBe(false);
    expect(await inspectCheckpoint(fixture("others.pth"), { key: "model" })).toMatchObject({ parameters: 15 });
  });

  test("are refused by loadCheckpoint, which says what reads the weights", async () => {
    const { message } = await failure(loadCheckpoint(fixture("others.pth")), "BAD_CHECKPOINT");
    expect(message).toContain('"argparse.Namespace" is not allowed');
    expect(message).toContain("load(file) reads the weights and leaves the rest out");
  });

  test("are left out among the weights, too", async () => {
    const notes: string[] = [];
    const state = await load(fixture("foreign_weights.pth"), { onNote: (text) => notes.push(text) });
    expect(state).toEqual({ w: new Tensor(Float32Array.of(1)) });
    expect(notes[0]).toContain('left out "model.lr" (a value of "numpy._core.multiarray._reconstruct")');
  });

  test.each<[string, string, RegExp]>([
    ["others.pth", "args", /holds a value of "argparse\.Namespace" under "args"; state dicts are under "model"/],
    ["others.pth", "nothing", /holds nothing under "nothing"; state dicts are under "model"/],
    ["module.pth", "model", /is a whole network, pickled by its class "torch\.nn\.modules\.container\.Sequential"/],
  ])("%s has no weights under %s", async (name, key, reason) => {
    expect((await failure(load(fixture(name), { key }), "BAD_CHECKPOINT")).message).toMatch(reason);
  });

  const weights = [op.text("model"), dict(op.text("w"), tensorOps())];
  const other = op.global("os", "system");
  test.each<[string, string]>([
    ["a call", `${other}${op.tuple(op.text("echo pwned > pwned.txt"))}R`],
    ["a call of what a call gave", `${other})R)R`],
    ["an instance with attributes", `${other})\x81}${op.text("a")}Nsb`],
    ["items and entries", `${other})R(NNe(NNuNa`],
    ["a dictionary in itself that holds one", `}q\x07(${op.text("self")}h\x07${op.text("other")}${other}u`],
  ])("%s", async (_, value) => {
    const notes: string[] = [];
    const file = write(`${dict(op.text("x"), value, ...weights)}.`);
    const state = await load(file, { key: "model", onNote: (text) => notes.push(text) });
    expect(state).toEqual({ w: new Tensor(new Float32Array(4), [4]) });
    expect(notes).toEqual([`${file}: left out "x" (a value of "os.system")`]);
    expect(await load(file)).toEqual(state);
    await failure(loadCheckpoint(file), "BAD_CHECKPOINT");
    expect(existsSync("pwned.txt")).toBe(false);
  });

  test("keys may be of them, too", async () => {
    const file = write(`${dict("K\x05", other, other, "N", ")", other, ...weights)}.`);
    const notes: string[] = [];
    await load(file, { key: "model", onNote: (text) => notes.push(text) });
    const value = 'a value of "os.system"';
    expect(notes).toEqual([`${file}: left out 5 (${value}), a tuple (${value})`]);
  });

  test.each<[string, string, RegExp]>([
    ["an instance of what is known", `ccollections\nOrderedDict\n)\x81`, /the instruction NEWOBJ is not allowed/],
    ["an instance of other arguments", `${other}N\x81`, /the instruction NEWOBJ is not allowed/],
    ["attributes of a dictionary", `}}${op.text("a")}Nsb`, /attributes other than/],
    ["an instruction of another protocol", "(ios\nsystem\n", /the instruction INST is not allowed/],
    ["a deep nesting", "(".repeat(1000), /nested deeper than 100/],
  ])("%s is refused all the same", async (_, value, reason) => {
    const file = write(`${dict(op.text("x"), value, ...weights)}.`);
    expect((await failure(load(file, { key: "model" }), "BAD_CHECKPOINT")).message).toMatch(reason);
  });
});
