import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support.js";
import { blocksOf, examplesOf, pages, ROOT, sources, textOf } from "./markdown.js";
import { INTERNAL, programOf } from "./program.js";

const folder = temporaryFolder();

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

function mistakesIn(path: string): string {
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  try {
    return execFileSync(process.execPath, [tsc, "-p", path], { encoding: "utf8" });
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}
