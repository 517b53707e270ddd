import { execFile, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll } from "vitest";
import { type Ended, ended } from "./support.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TSC = join(ROOT, "node_modules", "typescript", "bin", "tsc");

/**
 * Compiles the examples for a test file, inside the project: there "distillery" is the built package, as it is for a
 * program that installed it. Gives their folder.
 */
export function compiledExamples(): string {
  const folder = join(ROOT, "target", `examples-${process.pid}`);
  beforeAll(async () => {
    await promisify(execFile)(process.execPath, [TSC, "-p", join(ROOT, "examples"), "--outDir", folder]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** What runs one of the compiled examples to its end. */
export function examplesIn(folder: string): (name: string, args: readonly string[], cwd: string) => Promise<Ended> {
  return (name, args, cwd) =>
    ended(spawn(process.execPath, [join(folder, `${name}.js`), ...args], { cwd, stdio: ["ignore", "pipe", "pipe"] }));
}
