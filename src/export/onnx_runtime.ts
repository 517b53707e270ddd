import type { Dataset, ImageLayout } from "../data/dataset.js";
import { pixelBytes } from "../data/preprocessing/encode.js";
import { preprocessingOf } from "../data/preprocessing/spec.js";
import { standardized } from "../data/targets.js";
import { DistilleryError } from "../errors.js";
import { slices } from "../slices.js";
import { evaluateOutputs } from "../tasks/index.js";
import { mainMetric } from "../tasks/metrics.js";
import { Tensor } from "../tensor/tensor.js";
import { getNumThreads } from "../threads.js";
import { failedToLoad, importRuntime } from "./import_runtime.js";
import type { OnnxSummary } from "./onnx.js";
import { type Standardisation, standardisationOf } from "./preprocessing.js";

const BATCH = 1000;

/**
 * The figure of the task, of classes the accuracy, of an ONNX file's outputs by ONNX Runtime on the CPU, and the
 * runtime's version. Null if the package `onnxruntime-node` is not installed.
 *
 * @throws DistilleryError `IO_ERROR` if the runtime is installed but can't be loaded, or can't read the file.
 */
export async function accuracyByOnnxRuntime(
  file: string,
  { input, output, embedded }: Pick<OnnxSummary, "input" | "output" | "embedded">,
  data: Dataset,
): Promise<{ accuracy: number; version: string } | null> {
  const ort = await importRuntime();
  if (ort === null) return null;
  const session = await ort.InferenceSession.create(file, { intraOpNumThreads: getNumThreads() }).catch(
    failedToLoad(file),
  );
  const standardisation = embedded ? standardisationOf(preprocessingOf(data)) : null;
  const all: Float32Array[] = [];
  for (const [start, end] of slices(data.length, BATCH)) {
    const { inputs } = data.slice(start, end);
    const shape = [end - start, ...(input.shape.slice(1) as number[])];
    const fed =
      input.dtype === "uint8"
        ? new ort.Tensor("uint8", pixelBytes(inputs.data, imageOf(data)), shape)
        : new ort.Tensor("float32", standardisation ? numbersOf(inputs.data, standardisation) : inputs.data, shape);
    const results = await session.run({ [input.name]: fed });
    const logits = results[output.name] as { data: Float32Array; dims: readonly number[] };
    all.push(logits.data.slice());
  }
  await session.release();
  // Vectors may have other dimensions than the targets.
  const width = all[0].length / Math.min(BATCH, data.length);
  const given = new Float32Array(data.length * width);
  for (const [i, part] of all.entries()) given.set(part, i * BATCH * width);
  // Targets of a regression come in the unit of their columns.
  const outputs = new Tensor(standardized(given, data.targetScale), [data.length, width]);
  return { accuracy: mainMetric(data, evaluateOutputs(outputs, data)), version: ort.env.versions.node ?? "" };
}

/** The numbers that were standardised. */
function numbersOf(values: Float32Array, { mean, std }: Standardisation): Float32Array {
  return values.map((value, i) => value * std[i % std.length] + mean[i % mean.length]);
}

function imageOf({ image }: Dataset): ImageLayout {
  if (image === undefined) throw new DistilleryError("INTERNAL", "images: expected to know their normalisation");
  return image;
}
