import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatExpression, parseExpression, type Term } from "../../src/registry/index.js";
import { refusal } from "../data/support.js";
import { cpuTime } from "../helpers/cpu_time.js";

const term = (name: string, rest: Partial<Term> = {}): Term => ({ weight: 1, name, positional: [], args: {}, ...rest });
const refused = (expression: unknown) => refusal("BAD_ARGUMENT", () => parseExpression(expression, "loss"));

const WEIGHT = "loss.weight: expected a number, or two: [first epoch's, last epoch's], got";

describe("text is read", () => {
  test.each<[string, Term[]]>([
    ["kd", [term("kd")]],
    [" kd ( ) ", [term("kd")]],
    ["kd(temperature=4)", [term("kd", { args: { temperature: 4 } })]],
    [
      "0.1*cross-entropy + 0.9*kd(temperature = 4)",
      [term("cross-entropy", { weight: 0.1 }), term("kd", { weight: 0.9, args: { temperature: 4 } })],
    ],
    ["-2e-1 * kd", [term("kd", { weight: -0.2 })]],
    ["[0.9, -1e-3] * kd(4)", [term("kd", { weight: [0.9, -1e-3], positional: [4] })]],
    ["mlp([512, 256], norm=batch)", [term("mlp", { positional: [[512, 256]], args: { norm: "batch" } })]],
    ["f(true, False, null, None)", [term("f", { positional: [true, false, null, null] })]],
    ["f(.5, +1, -1e-4, 1., 0x10)", [term("f", { positional: [0.5, 1, -1e-4, 1, "0x10"] })]],
    [
      "hint(fc1, student.fc2, layer=\"a, b\", other='it\\'s')",
      [term("hint", { positional: ["fc1", "student.fc2"], args: { layer: "a, b", other: "it's" } })],
    ],
    ['f([], [[1], [a, ""]])', [term("f", { positional: [[], [[1], ["a", ""]]] })]],
    ["./my_loss.mjs", [term("./my_loss.mjs")]],
    ["./net.mjs#Tiny(hidden=8)", [term("./net.mjs#Tiny", { args: { hidden: 8 } })]],
    [
      "2*../a-b/c.mjs#d + /abs/e.mjs + file:///x/y.mjs + C:\\x\\y.mjs#Z",
      [term("../a-b/c.mjs#d", { weight: 2 }), term("/abs/e.mjs"), term("file:///x/y.mjs"), term("C:\\x\\y.mjs#Z")],
    ],
    ['"./my (best) loss.mjs"#Own(x=1)', [term("./my (best) loss.mjs#Own", { args: { x: 1 } })]],
    ["f(path=./runs/teacher.pth)", [term("f", { args: { path: "./runs/teacher.pth" } })]],
    ["f(constructor=1, toString=2)", [term("f", { args: { constructor: 1, toString: 2 } as never })]],
  ])("%s", (text, terms) => {
    expect(parseExpression(text)).toEqual(terms);
  });

  test("structured terms and lists mean the same as text", () => {
    expect(parseExpression({ name: "dkd", weight: 1, alpha: 1, beta: undefined })).toEqual(
      parseExpression("dkd(alpha=1)"),
    );
    expect(parseExpression({ name: "./my net.mjs#Tiny", hidden: [8] })).toEqual([
      term("./my net.mjs#Tiny", { args: { hidden: [8] } }),
    ]);
    expect(parseExpression(["0.5*kd", { name: "cross-entropy", weight: 0.5 }])).toEqual(
      parseExpression("0.5*kd + 0.5*cross-entropy"),
    );
  });
});

describe("a mistake is refused with its position", () => {
  test.each<[unknown, string]>([
    ["", "loss: expected a name at character 1, got the end"],
    ["kd(", "loss: expected a value at character 4, got the end"],
    ["kd(temperature=", "loss: expected a value at character 16, got the end"],
    ["kd(1", 'loss: expected "," or ")" at character 5, got the end'],
    ["kd)", 'loss: expected "+" or the end at character 3, got ")"'],
    ["kd(1))", 'loss: expected "+" or the end at character 6, got ")"'],
    ["kd kd", 'loss: expected "+" or the end at character 4, got "kd"'],
    ["kd(1, 2), dkd", 'loss: expected one, got a list: "kd(1, 2), dkd"'],
    ["kd +", "loss: expected a name at character 5, got the end"],
    ["0.5", 'loss: expected a name at character 1, got "0.5"'],
    ["kd*0.5", 'loss: expected "+" or the end at character 3, got "*0.5"'],
    ["f([1, 2)", 'loss: expected "," or "]" at character 8, got ")"'],
    ["f(,)", 'loss: expected a value at character 3, got ",)"'],
    ["f(a=1, 2)", 'loss: expected an argument by name, as the one before it at character 8, got "2)"'],
    ["f(a=1, a=2)", 'loss: expected each argument once: a was given at character 8, got "a=2)"'],
    ["f(__proto__=1)", 'loss: expected the name of an argument at character 3, got "__proto__=1)"'],
    ['f("open)', 'loss: expected a quote that ends the string at character 3, got "\\"open)"'],
    ['f("\\q")', 'loss: expected a string as JSON has it at character 3, got "\\"\\\\q\\")"'],
    ["f(1e999)", 'loss: expected a number that double precision can hold at character 3, got "1e999)"'],
    ["1e999*f", 'loss: expected a number that double precision can hold at character 1, got "1e999*f"'],
    ["./a.mjs#", 'loss: expected the name of an export after "#" at character 8, got "#"'],
    [
      '"kd"',
      'loss: expected a name without quotes, or the path of a module, as "./my module.mjs" at character 1, got "\\"kd\\""',
    ],
    [3, "loss: expected a name with its arguments, as text or { name: ... }, got 3"],
    [null, "loss: expected a name with its arguments, as text or { name: ... }, got null"],
    [[], "loss: expected at least one name, got an empty list"],
    [["kd", 3], "loss[1]: expected a name with its arguments, as text or { name: ... }, got 3"],
    [["kd", "f("], "loss[1]: expected a value at character 3, got the end"],
    [{ weight: 1 }, "loss.name: expected a name, got undefined"],
    [{ name: "kd(1)" }, 'loss.name: expected a name alone, its arguments beside it, got "kd(1)"'],
    [{ name: "kd + kd" }, 'loss.name: expected a name alone, its arguments beside it, got "kd + kd"'],
    [{ name: "kd", weight: "1" }, `${WEIGHT} "1"`],
    [{ name: "kd", weight: Number.NaN }, `${WEIGHT} NaN`],
    [{ name: "kd", weight: [1] }, `${WEIGHT} [1]`],
    ["[1, x]*f", "loss: expected two numbers, the first epoch's and the last one's at character 1, got \"[1, x]*f\""],
    ["[1, 2, 3]*f", 'loss: expected a name at character 1, got "[1, 2, 3]*f"'],
    [JSON.parse('{ "name": "kd", "__proto__": 1 }'), 'loss: expected names of arguments, got "__proto__"'],
    [{ name: "kd", "a b": 1 }, 'loss: expected names of arguments, got "a b"'],
  ])("%j", async (expression, message) => {
    expect(await refused(expression)).toBe(message);
  });

  test.each([
    ["lists too deep", `f(${"[".repeat(10_000)}`, /lists at most 32 deep/],
    ["text too long", `f(${"1,".repeat(100_000)}1)`, /at most 65536 characters/],
    ["many digits", `f(${"1".repeat(60_000)}x`, /expected "," or "\)"/],
    ["many terms without an end", "kd+".repeat(20_000), /expected a name at character 60001/],
    ["a quote of backslashes", `f("${"\\".repeat(60_001)}`, /a quote that ends the string/],
  ])("%s, at once", async (_, text, message) => {
    const start = cpuTime();
    expect(await refused(text)).toMatch(message);
    expect(cpuTime() - start).toBeLessThan(1000);
  });
});

describe("text is written", () => {
  test.each([
    [{ name: "kd", weight: 0.9, temperature: 4 }, "0.9*kd(temperature=4)"],
    [["0.5*kd()", { name: "f", a: [1, "x"], b: null }], "0.5*kd + f(a=[1, x], b=null)"],
    [{ name: "f", a: "1", b: "true", c: "", d: "a b", e: "[" }, 'f(a="1", b="true", c="", d="a b", e="[")'],
    ["'./my net.mjs'#Tiny", '"./my net.mjs"#Tiny'],
  ])("%j", (expression, text) => {
    expect(formatExpression(expression)).toBe(text);
  });

  test("a value that text can't hold is refused", async () => {
    expect(await refusal("BAD_ARGUMENT", () => formatExpression({ name: "f", schedule: () => 1 }))).toBe(
      "f: schedule: expected a number, true, false, null, a string or a list, which text can hold, got a function",
    );
    expect(await refusal("BAD_ARGUMENT", () => formatExpression({ name: "f", a: Number.NaN }))).toMatch(/got NaN$/);
  });

  test("any terms are read back as they were", () => {
    const leaf = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
      fc.string({ unit: "binary" }),
      fc.constantFrom("true", "None", "1e5", "-", "a+b", "./x.mjs#y", "a=b"),
    );
    const value = fc.oneof(leaf, fc.array(fc.oneof(leaf, fc.array(leaf, { maxLength: 3 })), { maxLength: 4 }));
    const key = fc.stringMatching(/^[A-Za-z_]\w{0,6}$/).filter((name) => name !== "__proto__" && name !== "name");
    const name = fc.oneof(
      fc.stringMatching(/^[A-Za-z_][\w.-]{0,8}$/),
      fc.stringMatching(/^\.\/[\w ()+'"-]{1,8}\.mjs(#[A-Za-z_$]\w{0,4})?$/),
    );
    const any = fc.record({
      weight: fc.double({ noNaN: true, noDefaultInfinity: true }),
      name,
      positional: fc.array(value, { maxLength: 3 }),
      args: fc.dictionary(key, value, { maxKeys: 3, noNullPrototype: true }),
    });
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 4 }), (terms) => {
        expect(parseExpression(formatExpression(terms))).toEqual(terms);
      }),
    );
  });

  test("any text is read or refused, never anything else", () => {
    const pieces = fc.constantFrom(
      "kd",
      "(",
      ")",
      "[",
      "]",
      ",",
      "=",
      "+",
      "*",
      "1",
      ".5",
      "'",
      '"',
      "#",
      "./a",
      "\\",
      " ",
      "__proto__",
      "null",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: "binary" }),
          fc.array(pieces).map((all) => all.join("")),
        ),
        (text) => {
          try {
            expect(parseExpression(formatExpression(text))).toEqual(parseExpression(text));
          } catch (error) {
            expect(error).toMatchObject({ code: "BAD_ARGUMENT" });
          }
        },
      ),
    );
  });
});
