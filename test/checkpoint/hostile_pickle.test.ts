import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { load } from "../../src/checkpoint/index.js";
import { temporaryFolder } from "../support.js";
import { archive, dictOf, op, refusal, storageOps, tensorOps } from "./support.js";

const folder = temporaryFolder();
const refused = (pickle: string) => refusal(folder, archive(pickle));

test("the builder of these tests makes a file that loads", async () => {
  const file = join(folder, "good.pth");
  writeFileSync(file, archive(dictOf(tensorOps()), { 0: new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer) }));
  expect((await load(file)).w?.toArray()).toEqual([1, 2, 3, 4]);
});

describe("names that are not of a tensor dictionary", () => {
  test.each([
    ["os", "system"],
    ["posix", "system"],
    ["builtins", "eval"],
    ["__builtin__", "getattr"],
    ["subprocess", "Popen"],
    ["torch", "load"],
    ["torch._utils", "_rebuild_tensor_v1"],
    ["torch._utils", "_rebuild_device_tensor_from_numpy"],
    ["torch.storage", "_load_from_bytes"],
    ["collections", "Counter"],
    ["torch.hub", "load"],
    ["torch", "FloatStorage.__class__"],
  ])("%s.%s", async (module, name) => {
    const call = `${op.global(module, name)}${op.tuple(op.text("echo pwned"))}R`;
    const place = op.proto.length + 2 + op.text("w").length;
    expect(await refused(dictOf(call))).toMatch(
      `data.pkl at byte ${place} (GLOBAL): GLOBAL ${JSON.stringify(`${module}.${name}`)} is not allowed`,
    );
  });

  test.each([
    ["_rebuild_sparse_tensor", '"w" is a sparse tensor, which is not read: in Python, save its .to_dense()'],
    ["_rebuild_tensor_v3", '"w" has elements of a type that is not read, such as float8: in Python, save its .float()'],
  ])("a tensor of another kind, made by %s, with what makes it a plain one", async (name, problem) => {
    expect(await refused(dictOf(`${op.global("torch._utils", name)})R`))).toContain(problem);
  });

  test("a name with line ends and quotes is shown on one line", async () => {
    const message = await refused(dictOf(`${op.global("o\rs", '"\u001b[31m')}`));
    expect(message).toContain('GLOBAL "o\\rs.\\"\\u001b[31m"');
  });
});

describe("instructions that are not PyTorch's", () => {
  test.each([
    ["INST", "(ios\nsystem\n."],
    ["OBJ", `(${op.ordered}o.`],
    ["NEWOBJ", `ccollections\nOrderedDict\n)\x81.`],
    ["NEWOBJ_EX", `ccollections\nOrderedDict\n)}\x92.`],
    ["STACK_GLOBAL", `${op.text("os")}${op.text("system")}\x93.`],
    ["EXT1", "\x82\x01."],
    ["EXT4", "\x84\x01\x00\x00\x00."],
    ["PERSID", "P0\n."],
    ["DUP", "}2."],
    ["GET", "}q\x00g0\n."],
    ["FRAME", "\x95\x00\x00\x00\x00\x00\x00\x00\x00}."],
    ["BINBYTES8", "\x8e\xff\xff\xff\xff\xff\xff\xff\x7f."],
    ["BYTEARRAY8", "\x96\xff\xff\xff\xff\xff\xff\xff\x7f."],
    ["NEXT_BUFFER", "\x97."],
    ["PROTO", "\x80\x02}."],
    ["0xff", "\xff."],
  ])("%s", async (name, code) => {
    expect(await refused(op.proto + code)).toContain(`(${name}): the instruction ${name} is not allowed`);
  });
});

describe("calls and attributes that are not a state_dict's", () => {
  test.each<[string, string, RegExp]>([
    [
      "OrderedDict of pairs",
      `${op.proto}ccollections\nOrderedDict\n${op.tuple("]")}R.`,
      /REDUCE of "collections\.OrderedDict"/,
    ],
    ["a storage class", `${op.proto}ctorch\nFloatStorage\n)R.`, /REDUCE of "torch\.FloatStorage" with 0 arguments/],
    ["a text", `${op.proto}${op.text("os")})R.`, /REDUCE of a str with a tuple/],
    ["a dict as arguments", `${op.proto}ccollections\nOrderedDict\n}R.`, /REDUCE of a global with a dict/],
    ["BUILD of a plain dict", `${op.proto}}}b.`, /attributes other than/],
    ["BUILD of a tensor", dictOf(`${tensorOps()}}b`), /a dict was expected, not a tensor/],
    ["BUILD with a setter", `${op.proto}${op.ordered}}${op.text("__class__")}}sb.`, /attributes other than/],
    ["BUILD with slots", `${op.proto}${op.ordered}${op.tuple("N", "}")}b.`, /attributes other than/],
    ["metadata that is no dict", `${op.proto}${op.ordered}}${op.text("_metadata")}Nsb.`, /attributes other than/],
    [
      "a persistent id that is no storage",
      `${op.proto}${op.text("../../etc/passwd")}Q.`,
      /BINPERSID of something else/,
    ],
    [
      "a persistent id with an unknown type",
      `${op.proto}${op.tuple(op.text("storage"), op.ordered, op.text("0"), op.text("cpu"), op.int(1))}Q.`,
      /without a known type/,
    ],
    [
      "a negative storage",
      dictOf(tensorOps({ storage: storageOps("0", 4).replace(op.int(4), "J\xff\xff\xff\xff") })),
      /with -1 elements/,
    ],
    ["hooks", dictOf(tensorOps({ hooks: `${op.ordered}${op.int(1)}Ns` })), /backward hooks/],
    ["a negated view", dictOf(tensorOps({ more: `}${op.text("neg")}\x88s` })), /resolve_neg/],
    ["too many arguments", dictOf(tensorOps({ more: "}}" })), /other arguments/],
    [
      "a parameter of no tensor",
      dictOf(`ctorch._utils\n_rebuild_parameter\n${op.tuple("N", "\x88", op.ordered)}R`),
      /_rebuild_parameter with other arguments/,
    ],
  ])("%s", async (_, pickle, reason) => {
    expect(await refused(pickle)).toMatch(reason);
  });
});

describe("views that pass what is there", () => {
  const shape = (...lengths: number[]) => op.tuple(...lengths.map(op.int));
  test.each<[string, string, RegExp]>([
    ["an offset past the storage", tensorOps({ offset: op.int(1) }), /"w" reaches element 4 of a storage of 4/],
    ["a shape larger than the storage", tensorOps({ shape: shape(5) }), /reaches element 4/],
    ["a stride past the storage", tensorOps({ strides: shape(2) }), /reaches element 6/],
    ["a stride near 2^53", tensorOps({ strides: shape(2 ** 53 - 1) }), /reaches element/],
    ["a huge shape without strides", tensorOps({ shape: shape(2 ** 31 - 1), strides: shape(0) }), /expanded view/],
    ["a product past 2^53", tensorOps({ shape: shape(2 ** 30, 2 ** 30), strides: shape(0, 0) }), /impossible shape/],
    [
      "an infinite product times 0",
      tensorOps({ shape: shape(...Array(40).fill(2 ** 30), 0), strides: shape(...Array(41).fill(1)) }),
      /impossible shape/,
    ],
    ["a length past 2^31", tensorOps({ shape: shape(2 ** 31), strides: shape(0) }), /has a length of 2147483648/],
    ["a negative length", tensorOps({ shape: op.tuple("J\xfc\xff\xff\xff") }), /not two tuples/],
    ["a negative stride", tensorOps({ strides: op.tuple("J\xff\xff\xff\xff") }), /not two tuples/],
    ["a negative offset", tensorOps({ offset: "J\xff\xff\xff\xff" }), /offset is -1/],
    ["an offset that is a float", tensorOps({ offset: "G\x3f\xf8\x00\x00\x00\x00\x00\x00" }), /offset is 1\.5/],
    ["more strides than lengths", tensorOps({ strides: shape(1, 1) }), /not two tuples/],
    ["65 axes", tensorOps({ shape: shape(...Array(65).fill(1)), strides: shape(...Array(65).fill(1)) }), /65 axes/],
    [
      "a storage larger than its entry",
      tensorOps({ storage: storageOps("0", 2 ** 40) }),
      /expected 1099511627776 elements of 4 bytes, got 16 bytes/,
    ],
    ["a storage smaller than its entry", tensorOps({ storage: storageOps("0", 3) }), /expected 3 elements/],
    ["a storage that is not there", tensorOps({ storage: storageOps("1") }), /entry "data\/1" is missing/],
    [
      "a storage outside",
      tensorOps({ storage: storageOps("../../../etc/passwd") }),
      /entry "data\/\.\.\/\.\.\/\.\.\/etc\/passwd" is missing/,
    ],
    [
      "one storage as two types",
      `${tensorOps()}${op.text("v")}${tensorOps({ storage: storageOps("0", 4, "IntStorage") })}`,
      /"v" shares a storage with a tensor of another type/,
    ],
  ])("%s", async (_, tensor, reason) => {
    expect(await refused(dictOf(tensor))).toMatch(reason);
  });

  test("copies of strided views in all hold no more than the file", async () => {
    const columns = tensorOps({ storage: storageOps("0", 4096), shape: shape(64, 64), strides: shape(1, 64) });
    const views = Array.from({ length: 200 }, (_, i) => op.text(`v${i}`) + columns).join("");
    const bytes = archive(`${op.proto}}(${views}u.`, { 0: new Uint8Array(4 * 4096) });
    expect(await refusal(folder, bytes)).toContain("its strided views hold more than the file");
  });
});

describe("bombs", () => {
  test.each<[string, string, RegExp]>([
    ["deep nesting", `${op.proto}${"(".repeat(100_000)}.`, /nested deeper than 100/],
    ["a tall stack", `${op.proto}${"N".repeat(1_100_000)}.`, /too many values on the stack/],
    ["a memo bomb", `${op.proto}}${"q\x00".repeat(1_100_000)}.`, /more than 1048576 objects/],
    [
      "many objects",
      `${op.proto}](${"]".repeat(10_000)}e${`(${"]".repeat(10_000)}e`.repeat(120)}.`,
      /more than 1048576 objects/,
    ],
    ["laughing tuples", `${op.proto})${"q\x00h\x00\x86".repeat(50)}.`, /holds a tuple; only plain dictionaries/],
    ["a dict in itself", `${op.proto}}q\x00${op.text("w")}h\x00s.`, /"w" holds a dict/],
    ["a key with brackets", `${op.proto}}q\x00${op.text("w (a)")}h\x00s.`, /"w \(a\)" holds a dict;/],
    [
      "a huge pickle",
      `${op.proto}${"N0".repeat(2 ** 23)}.`,
      /data\.pkl, what lies beside the tensors, has 16777219 bytes, more than 16777216: .*\["model"\]/,
    ],
    ["a text longer than the pickle", `${op.proto}X\xff\xff\xff\xffabc.`, /the pickle ends too early/],
    ["a number of 255 bytes", `${op.proto}\x8a\xff${"\x7f".repeat(255)}.`, /a number is too large/],
    ["a name without end", `${op.proto}c${"a".repeat(5000)}`, /a name has no end/],
  ])("%s", async (_, pickle, reason) => {
    expect(await refused(pickle)).toMatch(reason);
  });
});

describe("pickles that are broken", () => {
  test.each<[string, string, RegExp]>([
    ["empty", "", /data\.pkl at the end: the pickle ends too early/],
    ["no protocol", "}.", /a pickle begins with PROTO/],
    ["protocol 4", "\x80\x04}.", /pickle protocol 4: only 2/],
    ["no end", `${op.proto}}`, /at the end: the pickle ends too early/],
    ["nothing on the stack", `${op.proto}.`, /a value is missing/],
    ["two values left", `${op.proto}}}.`, /values are left/],
    ["an open mark", `${op.proto}(}.`, /values are left/],
    ["bytes after the end", `${op.proto}}.}`, /something follows the end/],
    ["a mark is missing", `${op.proto}}u.`, /a mark is missing/],
    ["an odd number of items", `${op.proto}}(Nu.`, /a key without a value/],
    ["items for no dict", `${op.proto}](NNu.`, /a dict was expected, not a list/],
    ["items for no list", `${op.proto}}Na.`, /a list was expected, not a dict/],
    ["nothing remembered", `${op.proto}h\x05.`, /nothing was remembered as 5/],
    ["a text that is not UTF-8", `${op.proto}X\x02\x00\x00\x00\xc3\x28.`, /a text is not UTF-8/],
    [
      "a key twice",
      `${op.proto}}(${op.text("w")}${tensorOps()}${op.text("w")}${tensorOps()}u.`,
      /the key "w" is repeated/,
    ],
    ["a key that is a number", `${op.proto}}${op.int(1)}${tensorOps()}s.`, /a key is a number, not a str/],
    ["a list", `${op.proto}].`, /holds a list; only plain dictionaries/],
    ["nothing", `${op.proto}N.`, /holds a None/],
  ])("%s", async (_, pickle, reason) => {
    expect(await refused(pickle)).toMatch(reason);
  });
});

test("the key __proto__ is a key like any other", async () => {
  const file = join(folder, "proto.pth");
  writeFileSync(file, archive(`${op.proto}}${op.text("__proto__")}${tensorOps()}s.`));
  const state = await load(file);
  expect(Object.keys(state)).toEqual(["__proto__"]);
  expect(Object.getPrototypeOf(state)).toBe(Object.prototype);
});
