import { DistilleryError } from "../errors.js";
import { errorCode } from "../files/index.js";

type Runtime = typeof import("onnxruntime-common");

/** Users install it themselves, because it has hundreds of megabytes. Its types are those of onnxruntime-common. */
const RUNTIME: string = "onnxruntime-node";

/** ONNX Runtime, or null if it is not installed. Throws if it is installed and does not load. */
export async function importRuntime(): Promise<Runtime | null> {
  try {
    return (await import(RUNTIME)) as Runtime;
  } catch (error) {
    if (errorCode(error) === "ERR_MODULE_NOT_FOUND") return null;
    return failedToLoad(RUNTIME)(error);
  }
}

/** Throws `IO_ERROR` for what ONNX Runtime could not load. */
export function failedToLoad(what: string): (error: unknown) => never {
  return (error) => {
    throw new DistilleryError("IO_ERROR", `${what}: ONNX Runtime can't load it: ${(error as Error).message}`, {
      cause: error,
    });
  };
}
