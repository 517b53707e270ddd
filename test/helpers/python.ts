import { execFileSync } from "node:child_process";
import { python } from "./needs.js";

/** What a program prints, as JSON, in the Python with PyTorch. A warning is an error. */
export function runPython(code: string, ...args: string[]): unknown {
  return JSON.parse(execFileSync(python, ["-W", "error", "-c", code, ...args], { encoding: "utf8" }));
}
