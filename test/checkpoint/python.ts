import { execFileSync } from "node:child_process";

/** A Python with PyTorch, such as scripts/pytorch.sh makes; empty where there is none, and its tests are left out. */
export const python = process.env.DISTILLERY_PYTHON ?? "";

/** What a program prints, as JSON. A warning is an error. */
export function runPython(code: string, ...args: string[]): unknown {
  return JSON.parse(execFileSync(python, ["-W", "error", "-c", code, ...args], { encoding: "utf8" }));
}
