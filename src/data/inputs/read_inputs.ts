import { show } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { InputDescription } from "./inputs.js";

/** Examples out of a file, as a network takes them. */
export interface FileInputs {
  /** [n, features]. */
  readonly inputs: Tensor;
  /** Where each stands: the file, with its line or index where the file has several. */
  readonly places: readonly string[];
  /** Of a table that has its label: the class of each row, -1 for a text that is none; otherwise null. */
  readonly labels: Int32Array | null;
}

/**
 * Reads new examples as the description says that a network takes them. Images: a PNG or JPEG picture, made grey or RGB
 * and resized; an IDX or `.npy` file of images of the same size. A table: the rows of a `.csv` or `.tsv` file, with or
 * without the label, columns in any order where they are named. Values: a `.npy` file [n, features]. `BAD_DATA` with the
 * file and the line, index or byte otherwise.
 *
 * @example
 * ```ts
 * const { inputs, places } = await readInputs("new.csv", describeInputs(train));
 * ```
 */
export async function readInputs(file: string, description: InputDescription): Promise<FileInputs> {
  if (typeof file !== "string" || file === "" || file.includes("\0")) {
    throw new DistilleryError("BAD_ARGUMENT", `file: expected a file, got ${show(file)}`);
  }
  // Only here: a program that predicts from no file need not load the readers of all formats.
  const { readExamples } = await import("./file_inputs.js");
  return readExamples(file, description);
}
