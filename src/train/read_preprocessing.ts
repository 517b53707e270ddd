import { modelMetadata, READ_OPTIONS, type ReadOptions } from "../checkpoint/index.js";
import { expectOptions } from "../checks.js";
import type { Preprocessing } from "../data/preprocessing/spec.js";
import { parseRecord } from "../models/training_record.js";

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
  expectOptions("readPreprocessing", options, READ_OPTIONS);
  return parseRecord(await modelMetadata(file, options), file)?.preprocessing ?? null;
}
