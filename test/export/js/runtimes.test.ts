import { execFileSync } from "node:child_process";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";
import { rolldown } from "rolldown";
import { parseAst } from "rolldown/parseAst";
import { beforeAll, expect, test } from "vitest";
import { textEncoding } from "../../../src/data/text/encodings.js";
import { exportedGraph } from "../../../src/export/index.js";
import { GraphModule } from "../../../src/graph/index.js";
import {
  createNetwork,
  DistilleryError,
  encodeSamples,
  exportJs,
  type Module,
  manualSeed,
  randn,
  StudentNet,
  saveJs,
  type TablePreprocessing,
} from "../../../src/index.js";
import { temporaryFolder } from "../../support.js";
import { logitsOf, relativeError } from "../support.js";

const folder = temporaryFolder();
const file = join(folder, "student.mjs");
let student: Module;

beforeAll(async () => {
  manualSeed(4);
  student = new StudentNet();
  await saveJs(student, file);
});

test("Node.js imports it without a flag, and gives our logits", () => {
  const x = randn([5, 784]);
  const rows = Array.from({ length: 5 }, (_, i) => [...x.data.subarray(784 * i, 784 * (i + 1))]);
  const script = join(folder, "use.mjs");
  writeFileSync(
    script,
    `import { classify, logits } from "./student.mjs";
    const rows = ${JSON.stringify(rows)};
    process.stdout.write(JSON.stringify(rows.map((row) => ({ logits: [...logits(row)], ...classify(row) }))));`,
  );
  const printed = JSON.parse(execFileSync(process.execPath, [script], { encoding: "utf8" })) as {
    logits: number[];
    class: number;
  }[];
  const expected = logitsOf(student, x);
  const got = Float32Array.from(printed.flatMap(({ logits }) => logits));
  expect(relativeError(got, expected.data, 10)).toBeLessThan(1e-5);
  expect(printed.map((one) => one.class)).toEqual([...expected.argmax(1).data]);
});

/** The lengths of a program's texts of 300 characters and more: those of weights, as no message is that long. */
function longTexts(code: string): number[] {
  const lengths: number[] = [];
  JSON.stringify(parseAst(code), (_, node: { type?: string; start: number; end: number } | null) => {
    const isText = node?.type === "Literal" || node?.type === "TemplateElement";
    if (isText && node.end - node.start >= 300) lengths.push(node.end - node.start);
    return node;
  });
  return lengths;
}

test("a bundler adds less than 20 kB to the weights, and takes what is exported", async () => {
  await saveJs(student, join(folder, "bundled.mjs"), { quantize: "int8" });
  writeFileSync(join(folder, "entry.mjs"), `import { classify } from "./bundled.mjs";\nglobalThis.run = classify;\n`);
  const bundle = await rolldown({ input: join(folder, "entry.mjs"), platform: "browser" });
  const { output } = await bundle.generate({ format: "iife", minify: true });
  const [{ code }] = output;
  const weights = longTexts(code).reduce((sum, length) => sum + length, 0);
  expect(weights).toBeGreaterThan(535_040);
  expect(code.length - weights).toBeLessThan(20_000);
  const scope: { run?: (input: number[]) => { class: number } } = {};
  new Function("globalThis", code)(scope);
  const row = randn([1, 784]);
  const expected = logitsOf(new GraphModule(exportedGraph(student, { quantize: "int8" }, "JavaScript")), row).argmax(1)
    .data[0];
  expect(scope.run?.([...row.data]).class).toBe(expected);
});

test.each([
  ["float32", false],
  ["float16", false],
  ["int8", false],
  ["int8", true],
] as const)(
  "where there is nothing but the language and atob, and no eval, as in workers at the edge: %s, WebAssembly: %s",
  (type, wasm) => {
    const quantize = type === "float32" ? {} : { quantize: type };
    const { code } = exportJs(student, quantize);
    const bare = { codeGeneration: { strings: false, wasm } };
    const context = createContext({ atob: (text: string) => atob(text) }, bare);
    const { classify, logits } = runInContext(
      `"use strict";\n${code.replaceAll(/^export /gm, "")}\n({ classify, logits });`,
      context,
    ) as { classify(row: number[]): { class: number }; logits(row: number[]): ArrayLike<number> };
    const row = randn([1, 784]);
    const expected = logitsOf(new GraphModule(exportedGraph(student, quantize, "JavaScript")), row);
    expect(relativeError(Float32Array.from(logits([...row.data])), expected.data, 10)).toBeLessThan(1e-5);
    expect(classify([...row.data]).class).toBe(expected.argmax(1).data[0]);
    expect(() => runInContext("eval('1')", context)).toThrow("Code generation from strings disallowed");
    expect(runInContext("typeof process + typeof require + typeof Buffer + typeof fetch", context)).toBe(
      "undefined".repeat(4),
    );
  },
);

test("Node.js and a bundler take one with a tokenizer in it", async () => {
  const tokenizer = fileURLToPath(new URL("../../data/fixtures/tokenizer/wordpiece.json", import.meta.url));
  const preprocessing: TablePreprocessing = {
    kind: "table",
    header: true,
    label: { name: "label", index: 1 },
    classes: 2,
    classNames: null,
    columns: [{ name: "text", text: textEncoding(`tokenizer(file=${JSON.stringify(tokenizer)}, length=8)`) }],
  };
  const network = createNetwork("text_transformer(layers=1, dim=8, buckets=160)", { shape: [8], classes: 2 });
  await saveJs(network, join(folder, "reader.mjs"), { preprocessing });
  const text = "play chess with cards";
  const expected = [...logitsOf(network, encodeSamples(preprocessing, [{ text }])).data].map((x) =>
    expect.closeTo(x, 5),
  );
  writeFileSync(
    join(folder, "read.mjs"),
    `import { logits } from "./reader.mjs";\nprocess.stdout.write(JSON.stringify([...logits("${text}")]));\n`,
  );
  const printed = execFileSync(process.execPath, [join(folder, "read.mjs")], { encoding: "utf8" });
  expect(JSON.parse(printed)).toEqual(expected);
  writeFileSync(join(folder, "reading.mjs"), `import { logits } from "./reader.mjs";\nglobalThis.run = logits;\n`);
  const bundle = await rolldown({ input: join(folder, "reading.mjs"), platform: "browser" });
  const [{ code }] = (await bundle.generate({ format: "iife", minify: true })).output;
  const scope: { run?: (input: string) => Float32Array } = {};
  new Function("globalThis", code)(scope);
  expect([...(scope.run?.(text) ?? [])]).toEqual(expected);
});

test("TypeScript checks what it is given", async () => {
  const { types } = await saveJs(student, join(folder, "typed.mjs"));
  expect(types).toBe(join(folder, "typed.d.mts"));
  const uses = (input: string) => `import { classify, type InputError, type Prediction } from "./typed.mjs";
export const { className, probability }: Prediction = classify(${input});
export const codeOf = (error: InputError): string => error.code;
`;
  const check = (name: string, input: string) => {
    writeFileSync(join(folder, name), uses(input));
    const tsc = join(process.cwd(), "node_modules/typescript/bin/tsc");
    const options = [
      "--noEmit",
      "--ignoreConfig",
      "--strict",
      "--module",
      "nodenext",
      "--target",
      "es2022",
      "--types",
      "",
    ];
    return execFileSync(process.execPath, [tsc, ...options, join(folder, name)], { encoding: "utf8", stdio: "pipe" });
  };
  expect(check("right.mts", "new Float32Array(784)")).toBe("");
  expect(() => check("wrong.mts", '{ height: "1" }')).toThrow();
});

test("in 8 bits even new weights, all of whose values are alike, take 7.5 bits at 6.5 a character, and 16 kB for the rest", async () => {
  const { bytes } = await saveJs(student, join(folder, "int8.mjs"), { quantize: "int8" });
  expect(bytes).toBe(statSync(join(folder, "int8.mjs")).size);
  expect(bytes).toBeLessThan((7.5 / 6.5) * 535_040 + 16_000);
});

test.each(["student.txt", "student", "student.cjs", "a\0.mjs"])("%j is no name of a module", async (name) => {
  await expect(saveJs(student, name)).rejects.toThrow(DistilleryError);
});
