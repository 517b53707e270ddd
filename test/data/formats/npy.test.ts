import { describe, expect, test } from "vitest";
import { decodeNpy, decodeNpyTexts } from "../../../src/data/formats/npy.js";
import { fixture } from "../numpy_support.js";
import { refusal } from "../support.js";

const expected: Record<string, { shape: number[]; elements: (number | string)[] }> = JSON.parse(
  Buffer.from(fixture("expected.json")).toString(),
);

/** A file of version 1 with this header, as it is, and these bytes after it. */
function npy(header: string, elements: ArrayLike<number> = [], version = 1): Uint8Array {
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  if (version === 1) length.writeUInt16LE(header.length);
  else length.writeUInt32LE(header.length);
  const start = [0x93, ...Buffer.from("NUMPY"), version, 0, ...length];
  return Uint8Array.from([...start, ...Buffer.from(header, "latin1"), ...Array.from(elements)]);
}

const header = (descr: string, shape: string, fortran = "False") =>
  `{'descr': ${descr}, 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;
const three = npy(header("'|u1'", "(3,)"), [7, 8, 9]);

describe("what NumPy writes", () => {
  test.each(Object.keys(expected))("%s", (name) => {
    const { shape, data, type } = decodeNpy(fixture(`${name}.npy`), name);
    const elements = Array.from(data as Iterable<number | bigint>, (x) => (type[0] === "i" ? String(x) : Number(x)));
    expect({ shape, elements }).toEqual(expected[name]);
  });

  test("texts are no numbers, and read as texts where they are names", async () => {
    expect(await refusal("BAD_DATA", () => decodeNpy(fixture("texts.npy"), "x"))).toBe(
      'x: elements of type "<U2"; whole numbers, truth values and floats of 2, 4 and 8 bytes are read: ' +
        "np.unique(y, return_inverse=True) makes classes of texts and objects",
    );
    expect(decodeNpyTexts(fixture("texts.npy"), "x")).toEqual(["a", "bc"]);
    expect(await refusal("BAD_DATA", () => decodeNpyTexts(fixture("half.npy"), "x"))).toMatch(
      /expected a list of texts/,
    );
  });

  test("float16 becomes float32", () => {
    expect(decodeNpy(fixture("half.npy"), "x")).toMatchObject({
      type: "f2",
      data: Float32Array.from({ length: 24 }, (_, i) => i),
    });
  });

  test("records are refused", async () => {
    expect(await refusal("BAD_DATA", () => decodeNpy(fixture("records.npy"), "x"))).toBe(
      "x: byte 10: its header: expected a text, True, False or a tuple, got \"[('a', '<i4'...\"",
    );
  });

  test("in the middle of other memory", () => {
    const bytes = fixture("f8_little_c.npy");
    const inside = Uint8Array.from([1, 2, 3, ...bytes]).subarray(3);
    expect(decodeNpy(inside, "x").data).toEqual(decodeNpy(bytes, "x").data);
  });
});

describe("other forms of the header", () => {
  test.each([
    ["Python 2's long numbers", header("'|u1'", "(3L,)")],
    ["double quotes", '{"descr": "|u1", "fortran_order": False, "shape": (3,)}'],
    ["another order, no spaces", "{'shape':(3,),'fortran_order':True,'descr':'|u1'}"],
    ["spaces and lines", " {\n 'descr' : '|u1' , 'fortran_order' : False , 'shape' : ( 3 , ) , } \n "],
    ["another byte order of single bytes", header("'>u1'", "(3,)")],
  ])("%s", (_, text) => {
    expect(decodeNpy(npy(text, [7, 8, 9]), "x")).toEqual({ type: "u1", shape: [3], data: Uint8Array.of(7, 8, 9) });
  });
});

describe("refused", () => {
  const cut = "truncated: its header";
  test.each<[string, Uint8Array, string]>([
    ["nothing", new Uint8Array(0), "truncated: its magic number has 6 bytes, the file 0"],
    ["half of the magic", three.subarray(0, 4), "truncated: its magic number has 6 bytes, the file 4"],
    [
      "another file",
      Uint8Array.of(80, 75, 3, 4, 5, 6, 7),
      "not a .npy file: byte 0: expected 934e554d5059, got 504b03040506",
    ],
    ["version 0", npy("", [], 0), "byte 6: expected version 1, 2 or 3, got 0"],
    ["version 4", npy("", [], 4), "byte 6: expected version 1, 2 or 3, got 4"],
    ["no length", three.subarray(0, 9), `${cut} begins at byte 10, the file has 9`],
    ["half of the header", three.subarray(0, 30), `${cut} ends at byte 68, the file has 30`],
    ["a last byte that lacks", three.subarray(0, -1), "truncated: claims 71 bytes, has 70"],
    ["bytes after the end", Uint8Array.from([...three, 1, 2]), "claims 71 bytes, but 2 more follow at byte 71"],
    ["a long header", npy(" ".repeat(10_001), [], 2), "byte 8: expected a header of at most 10000 bytes, got 10001"],
    ["a code", npy("__import__('os')"), 'byte 10: its header: expected {, got "__import__(\'..."'],
    ["no dictionary", npy("(1, 2)"), 'byte 10: its header: expected {, got "(1, 2)"'],
    ["an empty one", npy("{}"), 'byte 10: its header: the key "descr" is missing'],
    ["an open one", npy("{'descr': '|u1',"), "byte 10: its header: expected a text, got the end"],
    ["a key twice", npy("{'descr': '|u1', 'descr': '|u1'}"), 'byte 10: its header: the key "descr" occurs twice'],
    ["a foreign key", npy("{'constructor': 1}"), 'byte 10: its header: the key "constructor" is not known'],
    ["text after it", npy(`${header("'|u1'", "(3,)")} x`), 'byte 10: its header: expected the end, got "x"'],
    [
      "a number as type",
      npy(header("8", "(3,)")),
      'byte 10: its header: expected a text, True, False or a tuple, got "8, \'fortran_..."',
    ],
    [
      "a tuple as type",
      npy(header("(1, 2)", "(3,)")),
      "byte 10: its header: descr: expected a text; records of several fields are not read",
    ],
    [
      "a text as order",
      npy(header("'|u1'", "(3,)", "'no'")),
      "byte 10: its header: fortran_order: expected True or False",
    ],
    ["a text as shape", npy(header("'|u1'", "'3'")), "byte 10: its header: shape: expected a tuple of whole numbers"],
    ["a bare number as shape", npy(header("'|u1'", "(3)")), 'byte 10: its header: expected a comma, got "), }"'],
    ["a negative length", npy(header("'|u1'", "(-3,)")), 'byte 10: its header: expected a whole number, got "-3,), }"'],
    ["a length of 0", npy(header("'|u1'", "(3, 0)")), "its header: a shape of [3, 0] has no elements"],
    [
      "an impossible shape",
      npy(header("'<f8'", `(${"9".repeat(30)}, 9)`)),
      "its header: a shape of [1e+30, 9] is more than 2147483647 elements",
    ],
    [
      "33 axes",
      npy(header("'|u1'", `(${"1, ".repeat(33)})`)),
      `its header: a shape of [${Array(32).fill(1).join(", ")}] and more has more than 32 axes`,
    ],
    ["a claim of 2 GiB", npy(header("'<f8'", "(268435455,)"), [1]), "truncated: claims 2147483716 bytes, has 77"],
  ])("%s", async (_, bytes, problem) => {
    expect(await refusal("BAD_DATA", () => decodeNpy(bytes, "dir/x"))).toBe(`dir/x: ${problem}`);
  });

  test("every cut", async () => {
    for (const name of ["u1_little_c", "f8_big_fortran", "version_2", "version_3"]) {
      const bytes = fixture(`${name}.npy`);
      for (let end = 0; end < bytes.length; end++) {
        expect(await refusal("BAD_DATA", () => decodeNpy(bytes.subarray(0, end), "x"))).toMatch(/^x: truncated: /);
      }
    }
  });

  test("a claim of 16 GiB allocates nothing", async () => {
    const before = process.memoryUsage().arrayBuffers;
    const bytes = npy(header("'<f8'", "(2147483647,)"), [1]);
    expect(await refusal("BAD_DATA", () => decodeNpy(bytes, "x"))).toMatch(/truncated: claims 17179869/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  });
});
