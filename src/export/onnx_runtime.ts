import { DistilleryError } from "../errors.js";
import { argmax } from "../ops/max.js";
import type { IntTensor } from "../tensor/int_tensor.js";
import { Tensor } from "../tensor/tensor.js";
import { getNumThreads } from "../threads.js";
import type { OnnxSummary } from "./onnx.js";

const BATCH = 1000;

/** Labelled samples; for images also the normalisation, which a file with embedded normalisation reverses. */
export interface Examples {
  readonly length: number;
  readonly features: number;
  readonly image?: { readonly mean: readonly number[]; readonly std: readonly number[] };
  slice(start: number, end: number): { readonly inputs: Tensor; readonly labels: IntTensor };
}

/**
 * The fraction of samples, from 0 to 1, that an ONNX file with the logits of classes classifies right, by ONNX Runtime on
 * the CPU, and the runtime's version. Null if the package `onnxruntime-node` is not installed.
 *
 * @throws DistilleryError `IO_ERROR` if the runtime is installed but can't be loaded, or can't read the file.
 */
export async function accuracyByOnnxRuntime(
  file: string,
  { input, output }: Pick<OnnxSummary, "input" | "output">,
  data: Examples,
): Promise<{ accuracy: number; version: string } | null> {
  const ort = await importRuntime();
  if (ort === null) return null;
  const session = await ort.InferenceSession.create(file, { intraOpNumThreads: getNumThreads() }).catch(failed(file));
  let correct = 0;
  for (let start = 0; start < data.length; start += BATCH) {
    const end = Math.min(start + BATCH, data.length);
    const { inputs, labels } = data.slice(start, end);
    const shape = [end - start, data.features];
    const fed =
      input.dtype === "uint8"
        ? new ort.Tensor("uint8", pixelsOf(inputs.data, data), shape)
        : new ort.Tensor("float32", inputs.data, shape);
    const results = await session.run({ [input.name]: fed });
    const logits = results[output.name] as { data: Float32Array; dims: readonly number[] };
    const predicted = argmax(new Tensor(logits.data, logits.dims)).data;
    correct += labels.data.filter((label, i) => label === predicted[i]).length;
  }
  await session.release();
  return { accuracy: correct / data.length, version: ort.env.versions.node ?? "" };
}

/** The bytes that were normalised: pixel = 255 (value std + mean), a whole number but for rounding. */
function pixelsOf(values: Float32Array, { features, image }: Examples): Uint8Array {
  if (image === undefined) throw new DistilleryError("INTERNAL", "images: expected to know their normalisation");
  const plane = features / image.mean.length;
  return Uint8Array.from(values, (value, i) => {
    const channel = Math.floor((i % features) / plane);
    return Math.round(255 * (value * image.std[channel] + image.mean[channel]));
  });
}

type Runtime = typeof import("onnxruntime-common");

/** A peer of those who want it: hundreds of megabytes. Its types are those of onnxruntime-common. */
const RUNTIME: string = "onnxruntime-node";

/** ONNX Runtime, or null if it is not installed. One that is installed and does not load is no reason to do without. */
async function importRuntime(): Promise<Runtime | null> {
  try {
    return (await import(RUNTIME)) as Runtime;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ERR_MODULE_NOT_FOUND") return null;
    return failed(RUNTIME)(error);
  }
}

function failed(what: string): (error: unknown) => never {
  return (error) => {
    throw new DistilleryError("IO_ERROR", `${what}: ONNX Runtime can't load it: ${(error as Error).message}`, {
      cause: error,
    });
  };
}
