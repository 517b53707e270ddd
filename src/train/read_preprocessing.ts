import { modelMetadata, type ReadOptions } from "../checkpoint/index.js";
import { PREPROCESSING_KEY, type Preprocessing, parsePreprocessing } from "../data/preprocessing/spec.js";

/**
 * How a network's inputs were made of the data that it was trained on, as the `.safetensors` file says that a run wrote;
 * of a `.pth` file, which has no place for it, the `.safetensors` file of the same name and weights beside it. Null where
 * neither says it. `key` and `stripPrefix` as with `load`.
 *
 * @throws DistilleryError as `load` does; `BAD_DATA` if the file's metadata is no such description.
 * @example
 * ```ts
 * const description = await readPreprocessing("runs/distill/distilled_student_model_lowest.safetensors");
 * if (description?.kind === "table") console.log(description.columns.map(({ name }) => name));
 * ```
 */
export async function readPreprocessing(file: string, options: ReadOptions = {}): Promise<Preprocessing | null> {
  const metadata = await modelMetadata(file, options);
  const text = Object.hasOwn(metadata, PREPROCESSING_KEY) ? metadata[PREPROCESSING_KEY] : undefined;
  return text === undefined ? null : parsePreprocessing(parse(text), file);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
