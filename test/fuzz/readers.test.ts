import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { decodeNpy, openNpz } from "../../src/data/formats/npy.js";
import { parseNpyHeader } from "../../src/data/formats/npy_header.js";
import { loadData } from "../../src/index.js";
import { native } from "../../src/native.js";
import { image } from "../data/image_support.js";
import { fixture, npy } from "../data/numpy_support.js";
import { check, damaged, memoryOf, readOr, TIMEOUT } from "./support.js";

const folder = mkdtempSync(join(tmpdir(), "distillery-fuzz-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a .npy file", () => {
  const survives = async (bytes: Uint8Array) => {
    const read = await readOr("BAD_DATA", () => decodeNpy(bytes, "x"));
    if (read === null) return;
    expect(read.data).toHaveLength(read.shape.reduce((product, length) => product * length, 1));
    expect(read.data.byteLength).toBeLessThan(bytes.length);
  };

  it(
    "of any bytes, and with any header",
    async () => {
      const start = Uint8Array.of(0x93, ...Buffer.from("NUMPY"));
      const piece = fc.constantFrom(
        "{",
        "}",
        "(",
        ")",
        ",",
        ":",
        "'descr'",
        "'shape'",
        "'fortran_order'",
        "'<f4'",
        "'|u1'",
      );
      const more = fc.constantFrom("True", "False", "3", "2L", " ", "\n", "'", '"', "-1", "[", "99999999999", "\0");
      const header = fc.array(fc.oneof(piece, more), { maxLength: 24 }).map((parts) => parts.join(""));
      await check([fc.uint8Array({ maxLength: 40 }), header, fc.nat({ max: 3 })], async (any, text, version) => {
        expect(parseNpyHeader(text)).toBeTypeOf("object");
        const length = version < 2 ? [text.length, 0] : [text.length, 0, 0, 0];
        const whole = Uint8Array.of(...start, version, 0, ...length, ...Buffer.from(text, "latin1"), ...any);
        for (const bytes of [any, Uint8Array.of(...start, ...any), whole]) await survives(bytes);
      });
    },
    TIMEOUT,
  );

  it(
    "that is valid but for some damage",
    async () => {
      await check([damaged(fixture("f4_big_fortran.npy")), damaged(fixture("version_3.npy"))], async (a, b) => {
        for (const bytes of [a, b]) await survives(bytes);
      });
    },
    TIMEOUT,
  );

  it(
    "of any numbers is read as it was written",
    async () => {
      const numbers = fc.array(fc.double(), { minLength: 1, maxLength: 20 });
      await check([numbers], (values) => {
        const { data, shape } = decodeNpy(npy([1, values.length], Float64Array.from(values)), "x");
        expect([shape, Array.from(data as Float64Array)]).toEqual([[1, values.length], values]);
      });
    },
    TIMEOUT,
  );
});

describe("a .npz archive", () => {
  it(
    "that is damaged is refused, or its arrays are backed by their bytes",
    async () => {
      const archives = fc.constantFrom("stored.npz", "compressed.npz").chain((name) => damaged(fixture(name)));
      await check([archives], async (bytes) => {
        await readOr("BAD_DATA", async () => {
          const { names, read } = await openNpz(bytes, "x");
          for (const name of names) {
            const array = await readOr("BAD_DATA", () => read(name));
            if (array !== null) expect(memoryOf([array.data])).toBeLessThan(2 ** 20);
          }
        });
      });
    },
    TIMEOUT,
  );
});

describe("a CSV file", () => {
  it(
    "of any cells, quotes and line ends is read whole or refused",
    async () => {
      const cell = fc.constantFrom(
        "1",
        "-2.5",
        "1e9",
        "red",
        "blue",
        "",
        " ",
        '"',
        '"a"',
        '"a,b"',
        '"a\nb"',
        "nan",
        "é",
        "\0",
      );
      const between = fc.constantFrom(",", ",", ",", "\n", "\n", "\r\n", "\r", ";", "\t");
      const content = fc.array(fc.tuple(cell, between), { maxLength: 24 }).map((parts) => parts.flat().join(""));
      const file = join(folder, "t.csv");
      await check(
        [content, fc.constantFrom(undefined, true, false), fc.constantFrom(0, 0.3)],
        async (text, header, testFraction) => {
          writeFileSync(file, text);
          const options = { testFraction, ...(header !== undefined && { header }) };
          const sets = await readOr("BAD_DATA", () => loadData(file, options));
          if (sets === null) return;
          const { train, test } = sets;
          expect(train.classNames).toHaveLength(train.classes);
          const rows = train.length + (test?.length ?? 0);
          expect(rows).toBeLessThanOrEqual(text.length);
          expect(train.slice(0, train.length).inputs.data.every(Number.isFinite)).toBe(true);
        },
      );
    },
    TIMEOUT,
  );
});

describe("images", () => {
  const names = [
    "colour.png",
    "palette.png",
    "one_bit.png",
    "sixteen_bits.png",
    "full.jpg",
    "progressive.jpg",
    "halved.jpg",
    "lossless.webp",
    "lossy.webp",
    "bitmap.bmp",
    "frames.gif",
    "turned_soft.jpg",
  ];

  it(
    "that are damaged are decoded or refused",
    async () => {
      const images = fc.constantFrom(...names).chain((name) => damaged(image(name)));
      const sizes = fc.constantFrom<[number, number, number]>([3, 9, 13], [1, 9, 13], [3, 1, 1], [1, 40, 3]);
      const flags = [fc.boolean(), fc.boolean()] as const;
      await check([images, fc.uint8Array({ maxLength: 40 }), sizes, ...flags], (bytes, any, shape, resize, turn) => {
        for (const file of [bytes, any]) {
          const size = native.imageSize(file, turn);
          const out = new Uint8Array(shape[0] * shape[1] * shape[2]);
          const failure = native.decodeImages([file], out, [...shape], resize, true, turn);
          if (typeof size === "string") expect(failure).toEqual({ index: 0, problem: size });
          if (failure !== null) expect(failure.problem).not.toBe("");
        }
      });
    },
    TIMEOUT,
  );
});
