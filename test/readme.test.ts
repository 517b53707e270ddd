import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");
const programs = [...read("README.md").matchAll(/^```ts\n(.*?)^```/gms)].map(([, program]) => program as string);

// parity/script.test.ts runs that file and compares what it saves.
test("README's first program is examples/script.ts", () => {
  const [, example] = /^[^\n]*\n(.*)$/s.exec(read("examples/script.ts")) ?? [];
  expect(programs[0]).toBe(example?.replace('process.argv[2] ?? "student.pth"', '"student.pth"'));
});

test("README's programs are typed", () => {
  const folder = join(ROOT, "target", `readme-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  try {
    for (const [i, program] of programs.entries()) writeFileSync(join(folder, `program_${i}.ts`), program);
    const compilerOptions = { noEmit: true, declaration: false, rootDir: "../..", types: ["node"] };
    const config = { extends: "../../examples/tsconfig.json", compilerOptions, include: ["*.ts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
    execFileSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
