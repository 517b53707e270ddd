import { createRequire } from "node:module";
import { parseSync, transformSync } from "rolldown/utils";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as library from "../../src/index.js";
import { temporaryFolder } from "../support.js";
import { examplesOf, sources } from "./markdown.js";
import { INTERNAL } from "./program.js";

const { AdamW, crossEntropy, DataLoader, Linear, randn, StudentNet, synthetic, TeacherNet } = library;
const SAMPLES = 16;
const folder = temporaryFolder();
const before = process.cwd();
const require = createRequire(import.meta.url);

// Examples write files.
beforeAll(() => process.chdir(folder));
afterAll(() => process.chdir(before));

const data = () => synthetic({ samples: SAMPLES });
const inputs = () => randn([SAMPLES, 784]);
const labels = () => data().slice(0, SAMPLES).labels;
const logits = () => new StudentNet().forward(inputs());
const maps = (channels: number) => randn([SAMPLES, channels, 8, 8]);
const network = () => new StudentNet();

/** What examples have from the text before. */
const KNOWN: Readonly<Record<string, () => unknown>> = {
  teacher: () => new TeacherNet().freeze(),
  ...{ student: network, network, model: network, first: network, second: network },
  students: () => [network(), network()],
  backbone: () => new Linear(784, 16),
  head: () => new Linear(16, 10),
  ...{ data, train: data, validation: data, test: data, dataset: data },
  ...{ inputs, x: inputs, labels, kd: () => logits().mean(), task: () => logits().pow(2).mean() },
  indices: () => Int32Array.from({ length: SAMPLES }, (_, i) => i),
  loss: () => crossEntropy(logits(), labels()),
  teacherLogits: () => randn([SAMPLES, 10]),
  teacherVectors: () => randn([SAMPLES, 384]),
  studentHidden: () => randn([SAMPLES, 128]),
  teacherHidden: () => randn([SAMPLES, 256]),
  studentMaps: () => maps(16),
  studentMaps1: () => maps(16),
  studentMaps2: () => maps(32),
  teacherMaps: () => maps(64),
  teacherMaps1: () => maps(64),
  teacherMaps2: () => maps(128),
  optimizer: () => new AdamW(network().parameters()),
  loader: () => new DataLoader(data(), { batchSize: 8 }),
  batches: () => [...new DataLoader(data(), { batchSize: 8 })],
  stride: () => 2,
  trainAndValidate: () => () => 0.5,
  classes: () => ["bird", "cat"],
  distilled: () => [[0.9, 0.8]],
  baseline: () => [[0.8, 0.7]],
  config: () => ({}),
};
/** Of an example that is not run: it reads files, waits for others, or is for other data than {@link KNOWN}. */
const ELSEWHERE = new RegExp(
  [
    /\b(load|open|read|serve|watch|inspect|decode|compare|sweep)[A-Z]?\w*\(/,
    /\b(\w*Teacher\(await|onnxTeacher|logitsFile|importModules|findData|fetchLogits|rowsOf|TeacherCache|argv|make)\b/,
    /\b(result|swept|links|history|record|preprocessingOf|onnxruntime|augment|layer\d|workers?)\b/,
    /loss: (mse|mae|huber|bce|cosine)DistillationLoss/,
  ]
    .map(({ source }) => source)
    .join("|"),
);

const NUMBER = /-?\d+(?:\.\d+)?(?:e-?\d+)?(?:\.{3})?/;
const VALUE = new RegExp(`^(?:about )?(\\[.*\\]|"[^"]*"|true|false|null|${NUMBER.source})(?=$|, |[;:. ])`);

const found = sources()
  .filter((file) => !INTERNAL.some((place) => file.startsWith(place)))
  .flatMap((file) => examplesOf(file).map((code, i) => [`${file} ${i + 1}`, code] as const));
const run = found.filter(([, code]) => !ELSEWHERE.test(code));

describe("the example of a doc comment runs and gives what it states", () => {
  test.each(run)("%s", async (_, code) => {
    const given = Object.entries(KNOWN).filter(([name]) => new RegExp(`\\b${name}\\b`).test(code));
    const scope = {
      ...library,
      ...Object.fromEntries(given.map(([name, make]) => [name, make()])),
      distill: (input: library.DistillInput) => library.distill({ epochs: 1, ...input }),
      trainTeacher: (input: library.TrainTeacherInput) => library.trainTeacher({ epochs: 1, ...input }),
      console: { log: () => {}, error: () => {} },
      load: (name: string) => (name === "distillery" ? library : require(name)),
      expectStated,
    };
    const call = new AsyncFunction(...Object.keys(scope), `{${javaScriptOf(code)}}`);
    // An example is in a method of a layer.
    await call.call(new Linear(784, 10), ...Object.values(scope));
  });
});

test("most of them are run", () => expect(run.length / found.length).toBeGreaterThan(0.75));

const AsyncFunction = (async () => {}).constructor as FunctionConstructor;

/** An example without types and imports, which checks what its comments state. */
function javaScriptOf(code: string): string {
  const { program, comments } = parseSync("example.ts", code);
  let text = code;
  for (const node of program.body.toReversed()) {
    const comment = comments.find(({ start }) => start >= node.end && !code.slice(node.end, start).includes("\n"));
    const check = (of: { start: number; end: number }) =>
      `expectStated(${code.slice(of.start, of.end)}, ${JSON.stringify(comment?.value.trim())});`;
    const replace = (by: string) => {
      text = `${text.slice(0, node.start)}${by}${text.slice(node.end)}`;
    };
    if (node.type === "ImportDeclaration") {
      const names = node.specifiers.map(({ local }) => local.name);
      replace(`const { ${names} } = load(${JSON.stringify(node.source.value)});`);
    } else if (comment !== undefined && node.type === "ExpressionStatement") {
      replace(check(node.expression));
    } else if (comment !== undefined && node.type === "VariableDeclaration") {
      const { id } = node.declarations[0];
      if (id.type === "Identifier") replace(`${code.slice(node.start, node.end)} ${check(id)}`);
    }
  }
  return transformSync("example.ts", text).code.replace(/^export \{\};$/m, "");
}

/**
 * Checks a value against the comment behind it, if that begins with one: `0.2876...`, `[[1, 2]]`, `"kd", which ...`.
 * Numbers have as many digits as the comment has.
 */
function expectStated(value: unknown, comment: string): void {
  const [, stated] = VALUE.exec(comment) ?? [];
  if (stated === undefined || stated.startsWith('"...')) return;
  if (stated.startsWith('"')) {
    expect(value).toBe(JSON.parse(stated));
    return;
  }
  const [given, wanted] = [JSON.stringify(value instanceof library.Tensor ? value.toArray() : value), stated].map(
    (text) => text.replaceAll(/\s/g, ""),
  );
  const numbers = (text: string) => text.match(new RegExp(NUMBER, "g")) ?? [];
  const shape = (text: string) => text.replaceAll(new RegExp(NUMBER, "g"), "0");
  expect(shape(given), comment).toBe(shape(wanted));
  for (const [i, number] of numbers(wanted).entries()) {
    const [, digits = "", exponent = "0"] = /\.?(\d*)\.*(?:e(.*))?$/.exec(number.replace(/^-?\d+/, "")) ?? [];
    const unit = 10 ** (Number(exponent) - digits.length);
    const exact = Number(numbers(given)[i]);
    // A whole number is one, apart from rounding.
    const off = digits === "" && exponent === "0" ? 1e-5 : unit;
    expect(Math.abs(exact - Number(number.replace("...", ""))), comment).toBeLessThanOrEqual(off);
  }
}
