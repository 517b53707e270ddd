import * as v from "valibot";
import { beforeAll, describe, expect, test } from "vitest";
import {
  defineEntry,
  described,
  importModules,
  integer,
  list,
  oneOf,
  positive,
  Registry,
  type UserModules,
} from "../../src/registry/index.js";
import { refusal } from "../data/support.js";

interface Box {
  made: unknown;
}
const isBox = (value: unknown): value is Box => typeof value === "object" && value !== null && "made" in value;

const BOXES = new Registry<Box, { size: number }>(
  "box",
  [
    defineEntry({
      name: "plain",
      help: "a box",
      options: {
        sides: described(v.optional(list(integer(1), "a list of whole numbers"), [1, 2]), "its sides"),
        color: v.optional(oneOf(["red", "blue"]), "red"),
      },
      create: ({ sides, color }, { size }: { size: number }) => ({ made: [sides, color, size] }),
    }),
    defineEntry({
      name: "weighed",
      help: "by weight",
      options: { grams: positive() },
      create: ({ grams }) => ({ made: grams }),
    }),
    defineEntry({ name: "empty", help: "nothing", options: {}, create: () => ({ made: null }) }),
  ],
  { expected: "a Box, or a function that returns one", accepts: isBox },
);

let modules: UserModules;
beforeAll(async () => {
  const names = ["./net.mjs", "./net.mjs#Tiny", "./net.mjs#ready", "./net.mjs#number"];
  modules = await importModules(names, `${import.meta.dirname}/modules`);
});
const make = (expression: unknown) => BOXES.resolve(expression as string, { size: 7 }, { modules }).made;
const refused = (expression: unknown) =>
  refusal("BAD_ARGUMENT", () => BOXES.resolve(expression as string, { size: 7 }, { argument: "--box", modules }));

describe("an entry is made", () => {
  test.each([
    ["plain", [[1, 2], "red", 7]],
    ["plain(color=blue)", [[1, 2], "blue", 7]],
    ["plain([3], blue)", [[3], "blue", 7]],
    [{ name: "plain", sides: [4] }, [[4], "red", 7]],
    ["weighed(2.5)", 2.5],
    ["empty()", null],
  ])("%j", (expression, made) => {
    expect(make(expression)).toEqual(made);
  });

  test("a sum is made with its weights", () => {
    expect(BOXES.resolveSum("0.5*weighed(1) + empty", { size: 7 })).toEqual([
      [0.5, { made: 1 }],
      [1, { made: null }],
    ]);
  });

  test("its options are known with their defaults", () => {
    expect(BOXES.canonical("2*plain(color=blue) + weighed(3) + ./net.mjs(a=1)")).toBe(
      "2*plain(sides=[1, 2], color=blue) + weighed(grams=3) + ./net.mjs(a=1)",
    );
    expect(BOXES.optionsOf("plain")).toEqual([
      { name: "sides", default: "[1, 2]", help: "its sides" },
      { name: "color", default: "red", help: "" },
    ]);
    expect(BOXES.optionsOf("weighed")).toEqual([{ name: "grams", default: null, help: "" }]);
    expect(BOXES.names).toEqual(["plain", "weighed", "empty"]);
  });
});

describe("what does not fit is refused", () => {
  test.each([
    [
      "plane",
      '--box: unknown box "plane", did you mean plain? Expected one of plain, weighed, empty, or a module of your own, as ./file.mjs#Name',
    ],
    [
      "toString",
      '--box: unknown box "toString". Expected one of plain, weighed, empty, or a module of your own, as ./file.mjs#Name',
    ],
    ["plain(colour=blue)", "--box: plain: colour: unknown argument, did you mean color? (it takes sides, color)"],
    ["plain(col=blue)", "--box: plain: col: unknown argument, did you mean color? (it takes sides, color)"],
    ["plain(constructor=1)", "--box: plain: constructor: unknown argument (it takes sides, color)"],
    ["empty(a=1)", "--box: empty: a: unknown argument (it takes no arguments)"],
    ["empty(1)", "--box: empty: expected at most 0 arguments, got 1"],
    ["plain(color=green)", '--box: plain: color: expected "red" or "blue", got "green"'],
    ["plain(sides=[])", "--box: plain: sides: expected a list of whole numbers, got an empty list"],
    ["plain(sides=[1, 0])", "--box: plain: sides[1]: expected a whole number of at least 1, got 0"],
    ["plain([1], sides=[2])", "--box: plain: expected sides once, got it by its place and by its name"],
    ["weighed", "--box: weighed: grams: needed"],
    ["weighed(inf)", '--box: weighed: grams: expected a number above 0, got "inf"'],
    ["0.5*empty", '--box: expected one box, without a weight or a sum, got "0.5*empty"'],
    [["empty", "empty"], "--box: expected one box, got a list of 2"],
    ["empty + empty", '--box: expected one box, without a weight or a sum, got "empty + empty"'],
    ["plain(", "--box: expected a value at character 7, got the end"],
  ])("%s", async (expression, message) => {
    expect(await refused(expression)).toBe(message);
  });

  test("two entries of one name, and options that structured terms can't have", async () => {
    const one = { name: "a", help: "", options: {}, create: () => 1 };
    expect(await refusal("INTERNAL", () => new Registry("x", [one, one]))).toMatch(/two entries of one name/);
    const named = { ...one, options: { weight: v.number() } };
    expect(await refusal("INTERNAL", () => new Registry("x", [named]))).toMatch(/a: name and weight can't be options/);
  });
});

describe("a module of the user's own", () => {
  test("is called or constructed with what the library gives and the arguments", () => {
    expect(make("./net.mjs(hidden=8)")).toEqual({ size: 7, hidden: 8 });
    expect(make("./net.mjs#ready")).toBe("before");
  });

  test("has to make what is needed", async () => {
    expect(await refused("./net.mjs#Tiny")).toBe(
      "--box: ./net.mjs#Tiny: expected a Box, or a function that returns one, got a value of type Tiny",
    );
    expect(await refused("./net.mjs#number")).toMatch(/expected a Box, or a function that returns one, got 3$/);
  });

  test("gets arguments by name, none of which the library gives", async () => {
    expect(await refused("./net.mjs(8)")).toBe("--box: ./net.mjs: expected arguments by name, as (size=8)");
    expect(await refused("./net.mjs(size=8)")).toBe(
      "--box: ./net.mjs: size: the library gives it, it can't be an argument",
    );
  });

  test("does not run unless it was imported", async () => {
    expect(await refused("./other.mjs")).toBe(
      "--box: ./other.mjs: a module of your own runs only if you name it yourself: import it first with importModules",
    );
  });

  test("may export an entry, whose options are checked", async () => {
    const own = new Map([["./own.mjs", BOXES.get("weighed")]]);
    expect(BOXES.resolve("./own.mjs(grams=2)", { size: 7 }, { modules: own }).made).toBe(2);
    expect(await refusal("BAD_ARGUMENT", () => BOXES.resolve("./own.mjs", { size: 7 }, { modules: own }))).toBe(
      "box: ./own.mjs: grams: needed",
    );
  });

  test("is refused if the kind has none", async () => {
    const closed = new Registry("format", [{ name: "csv", help: "", options: {}, create: () => 1 }]);
    expect(await refusal("BAD_ARGUMENT", () => closed.resolve("./x.mjs", undefined))).toBe(
      "format: ./x.mjs: a format can't be a module of your own: expected one of csv",
    );
  });
});
