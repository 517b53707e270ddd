import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as library from "../../src/index.js";
import { temporaryFolder } from "../support.js";
import { blocksOf, examplesOf, pages, ROOT, sources, textOf } from "./markdown.js";

const folder = temporaryFolder();

/** What examples leave to the reader, who has it from the text before. */
const KNOWN = new Map(
  Object.entries({
    Module: "teacher student network model first second backbone head",
    "readonly Module[]": "students",
    Dataset: "data train validation test dataset",
    Tensor: "x inputs loss kd task teacherLogits teacherVectors studentHidden teacherHidden",
    "Tensor ": "studentMaps teacherMaps studentMaps1 studentMaps2 teacherMaps1 teacherMaps2",
    IntTensor: "labels",
    Int32Array: "indices",
    Optimizer: "optimizer",
    DataLoader: "loader",
    "readonly Batch[]": "batches",
    EpochRecord: "record validated",
    "readonly EpochRecord[]": "history",
    CompareResult: "result",
    SweepResult: "swept",
    "readonly TrainedLink[]": "links",
    "readonly string[]": "classes",
    number: "stride",
    "() => number": "trainAndValidate",
    "readonly number[][]": "distilled baseline",
    "Record<string, unknown>": "config",
    "(network: string) => () => Module": "make",
    "(query: string) => AsyncIterable<{ width: number; height: number; kind: number }>": "rowsOf",
    "(samples: readonly unknown[], signal: AbortSignal) => Promise<number[][]>": "fetchLogits",
  }).flatMap(([type, names]) => names.split(" ").map((name) => [name, type] as const)),
);
const TYPES = [
  "Batch",
  "CheckpointDict",
  "CompareResult",
  "DataLoader",
  "Dataset",
  "DistillationLoss",
  "EpochRecord",
  "IntTensor",
  "Module",
  "Optimizer",
  "ParamGroup",
  "Params",
  "RegressionEvaluation",
  "Schedule",
  "StateDict",
  "SweepResult",
  "Teacher",
  "Tensor",
  "TrainedLink",
  "ValuePrediction",
];
/** Their examples are of what the package does not export. */
const INTERNAL = ["src/graph/", "src/registry/registry.ts", "src/report/verdict.ts", "src/watch/"];

test("the TypeScript of every page and of every doc comment is right", () => {
  const blocks = [
    ...pages().flatMap((page) => blocksOf(page, "ts").map((code, i) => [`${page}_${i + 1}`, code] as const)),
    ...cellsOf("docs/how-to/pytorch.md").map((code, i) => [`pytorch_cell_${i + 1}`, code] as const),
    ...sources()
      .filter((file) => !INTERNAL.some((place) => file.startsWith(place)))
      .flatMap((file) => examplesOf(file).map((code, i) => [`${file}_${i + 1}`, code] as const)),
  ];
  const files = blocks.map(([place, code]) => {
    const name = `${place.replaceAll(/[/\\]/g, "_")}.ts`;
    writeFileSync(join(folder, name), programOf(code));
    return name;
  });
  expect(files.length).toBeGreaterThan(200);
  mkdirSync(join(folder, "node_modules", "@types"), { recursive: true });
  symlinkSync(ROOT, join(folder, "node_modules", "distillery"), "dir");
  for (const name of ["node", "../undici-types"]) {
    symlinkSync(join(ROOT, "node_modules", "@types", name), join(folder, "node_modules", "@types", name), "dir");
  }
  const options = {
    target: "es2023",
    module: "nodenext",
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: true,
    declaration: true,
    noEmit: true,
  };
  cpSync(join(ROOT, "test", "docs", "typed_program.ts"), join(folder, "typed_program.ts"));
  writeFileSync(join(folder, "onnxruntime.d.ts"), 'declare module "onnxruntime-node";');
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions: options, files: [...files, "typed_program.ts", "onnxruntime.d.ts"] }),
  );
  expect(mistakesIn(folder)).toBe("");
});

// examples.test.ts runs that file and compares what it saves.
test("the first program of get started is examples/script.ts", () => {
  const [, example] = /^[^\n]*\n(.*)$/s.exec(textOf("examples/script.ts")) ?? [];
  expect(blocksOf("docs/start.md", "ts")[0]).toBe(
    example?.replace('process.argv[2] ?? "student.pth"', '"student.pth"'),
  );
});

/** The code in the second column of a page's tables, but for single words. */
function cellsOf(page: string): string[] {
  const cells = textOf(page)
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .map((line) => line.split(" | ")[1] ?? "");
  return cells.flatMap((cell) => Array.from(cell.matchAll(/`([^`]*[.([{][^`]*)`/g), ([, code = ""]) => code));
}

/** An example that imports the library as it is; any other as a function, with what it leaves out. */
function programOf(example: string): string {
  if (/ from "distillery";$/m.test(example)) return `${example}\nexport {};\n`;
  const lines = example.match(/^import .*;$/gm) ?? [];
  const code = lines.reduce((rest, line) => rest.replace(line, ""), example);
  const declared = new Set(
    [
      ...example.matchAll(/\b(?:const|let|class|function|import|type)\*?\s+(?:\{([^}]*)\}|\[([^\]]*)\]|(\w+))/g),
    ].flatMap(([, ...names]) =>
      names.flatMap((part) => [...(part ?? "").matchAll(/(\w+)\s*(?=,|$)/g)].map(([, name = ""]) => name)),
    ),
  );
  const words = (text: string) => text.match(/(?<!\w|(?<!\.\.)\.)[A-Za-z]\w*/g) ?? [];
  const used = [...new Set(words(code))].filter((name) => !declared.has(name));
  const context = used.filter((name) => KNOWN.has(name)).map((name) => `declare const ${name}: ${KNOWN.get(name)};`);
  const values = used.filter((name) => name in library && !KNOWN.has(name));
  const types = [...new Set([...used, ...words(context.join(" "))])].filter((name) => TYPES.includes(name));
  const imports = [...new Set([...values, ...types])].map((name) => (values.includes(name) ? name : `type ${name}`));
  return [
    ...lines,
    `import { ${imports.join(", ")} } from "distillery";`,
    ...context,
    "export async function block(this: Record<'weight' | 'bias', import('distillery').Tensor>) {",
    code,
    "}",
  ].join("\n");
}

function mistakesIn(path: string): string {
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  try {
    return execFileSync(process.execPath, [tsc, "-p", path], { encoding: "utf8" });
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}
