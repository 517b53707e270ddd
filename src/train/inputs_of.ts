import { modelMetadata } from "../checkpoint/index.js";
import { readInputDescription } from "../data/inputs/input_description.js";
import { INPUTS_KEY, type InputDescription } from "../data/inputs/inputs.js";

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
  const metadata = await modelMetadata(file);
  const text = Object.hasOwn(metadata, INPUTS_KEY) ? metadata[INPUTS_KEY] : undefined;
  return text === undefined ? null : readInputDescription(parse(text), file);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
