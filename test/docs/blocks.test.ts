import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as library from "../../src/index.js";
import { temporaryFolder } from "../checkpoint/support.js";
import { blocksOf, pages, ROOT, textOf } from "./markdown.js";

const folder = temporaryFolder();

/** What the blocks of the guides leave to the reader, who has it from the text before. */
const KNOWN: Readonly<Record<string, string>> = {
  teacher: "Module",
  student: "Module",
  students: "readonly Module[]",
  first: "Module",
  second: "Module",
  data: "Dataset",
  train: "Dataset",
  validation: "Dataset",
  test: "Dataset | null",
  backbone: "Module",
  head: "Module",
  x: "Tensor",
  classes: "readonly string[]",
  make: "(network: string) => () => Module",
  links: "readonly TrainedLink[]",
  fetchLogits: "(samples: readonly unknown[], signal: AbortSignal) => Promise<number[][]>",
};
const TYPES = [
  "Module",
  "Dataset",
  "Tensor",
  "TrainedLink",
  "DistillationLoss",
  "RegressionEvaluation",
  "ValuePrediction",
];

test("the TypeScript of every page is right", () => {
  const files = pages().flatMap((page) =>
    blocksOf(page, "ts").map((code, i) => {
      const name = `${page.replaceAll(/[/\\]/g, "_")}_${i + 1}.ts`;
      writeFileSync(join(folder, name), programOf(code));
      return name;
    }),
  );
  expect(files.length).toBeGreaterThan(20);
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
    skipLibCheck: true,
    noEmit: true,
  };
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files }));
  expect(mistakesIn(folder)).toBe("");
});

// examples.test.ts runs that file and compares what it saves.
test("the first program of get started is examples/script.ts", () => {
  const [, example] = /^[^\n]*\n(.*)$/s.exec(textOf("examples/script.ts")) ?? [];
  expect(blocksOf("docs/start.md", "ts")[0]).toBe(
    example?.replace('process.argv[2] ?? "student.pth"', '"student.pth"'),
  );
});

/** A block that imports what it uses as it is; any other as a function, with what it leaves out. */
function programOf(code: string): string {
  if (/^import /m.test(code)) return `${code}\nexport {};\n`;
  const declared = new Set(
    [...code.matchAll(/\b(?:const|let|class|function)\s+(?:\{([^}]*)\}|\[([^\]]*)\]|(\w+))/g)].flatMap(([, ...names]) =>
      names.flatMap((part) => [...(part ?? "").matchAll(/(\w+)\s*(?=,|$)/g)].map(([, name = ""]) => name)),
    ),
  );
  const used = [...new Set(code.match(/(?<![.\w])[A-Za-z]\w*/g))].filter((name) => !declared.has(name));
  const values = used.filter((name) => name in library && !(name in KNOWN));
  const known = used.filter((name) => name in KNOWN);
  const types = TYPES.filter((name) => !(name in library)).map((name) => `type ${name}`);
  const imports = [
    ...values,
    ...types,
    ...TYPES.filter((name) => name in library && !values.includes(name)).map((name) => `type ${name}`),
  ];
  const context = known.map((name) => `declare const ${name}: ${KNOWN[name]};`).join("\n");
  const body = `export async function block(this: { weight: Tensor; bias: Tensor }) {\n${code}\n}`;
  return `import { ${imports.join(", ")} } from "distillery";\n${context}\n${body}\n`;
}

function mistakesIn(path: string): string {
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  try {
    return execFileSync(process.execPath, [tsc, "-p", path], { encoding: "utf8" });
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}
