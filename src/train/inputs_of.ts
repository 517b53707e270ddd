import { extname } from "node:path";
import { fingerprint, inspectCheckpoint, load } from "../checkpoint/index.js";
import { readInputDescription } from "../data/inputs/input_description.js";
import { INPUTS_KEY, type InputDescription } from "../data/inputs/inputs.js";
import { DistilleryError } from "../errors.js";

/**
 * How a network's inputs were made of the data that it was trained on, as the `.safetensors` file says that a run wrote;
 * of a `.pth` file, which has no place for it, the `.safetensors` file of the same name and weights beside it. Null where
 * neither says it.
 *
 * @throws DistilleryError as `load` does; `BAD_DATA` where what the file says is no such description.
 * @example
 * ```ts
 * const description = await inputsOf("runs/distill/distilled_student_model_lowest.safetensors");
 * if (description?.kind === "table") console.log(description.columns.map(({ name }) => name));
 * ```
 */
export async function inputsOf(file: string): Promise<InputDescription | null> {
  const { format, metadata } = await inspectCheckpoint(file);
  if (format === "pth") return besideOf(file);
  const text = metadata[INPUTS_KEY];
  return text === undefined ? null : readInputDescription(parse(text), file);
}

async function besideOf(file: string): Promise<InputDescription | null> {
  const beside = `${file.slice(0, file.length - extname(file).length)}.safetensors`;
  if (beside === file) return null;
  try {
    const [own, other] = await Promise.all([file, beside].map((name) => load(name, { allowNonFinite: true })));
    return fingerprint(own ?? {}) === fingerprint(other ?? {}) ? await inputsOf(beside) : null;
  } catch (error) {
    if (error instanceof DistilleryError && error.code === "NOT_FOUND") return null;
    throw error;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
