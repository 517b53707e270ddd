import { argumentError } from "../checks.js";
import { DistilleryError } from "../errors.js";

/** The error of a file that is damaged, foreign or holds what is not accepted: `name` is the file's. */
export function badCheckpoint(name: string, problem: string, cause?: unknown): DistilleryError {
  return new DistilleryError("BAD_CHECKPOINT", `${name}: ${problem}`, cause === undefined ? {} : { cause });
}

/** How to call `torch.load`, for tensors alone and for a file that may hold any code. */
export const SAFE = ", weights_only=True";
export const TRUSTED = ", weights_only=False";

/**
 * A line of Python that writes the content of a file in a form that is read: which part of it to take, and which
 * function to write it with.
 */
export function saveAgain(file: string, how: string, part = "", by = ""): string {
  const value = `torch.load(${JSON.stringify(file)}${how})${part}`;
  const line = `torch.save(${by === "" ? value : `${by}(${value})`}, "weights.pth")`;
  return `in Python, ${line} mends it${how === TRUSTED ? " (it runs the file's code: only if you trust it)" : ""}`;
}

/** The error for names and texts that are longer in total than a reader would accept. */
export function tooMany(argument: string, bytes: number, most: number): DistilleryError {
  const text = `expected names and texts of at most ${most} bytes, got ${bytes}`;
  return argumentError(argument, text);
}
