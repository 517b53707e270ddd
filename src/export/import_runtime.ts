import { DistilleryError } from "../errors.js";

type Runtime = typeof import("onnxruntime-common");

/** A peer of those who want it: hundreds of megabytes. Its types are those of onnxruntime-common. */
const RUNTIME: string = "onnxruntime-node";

/** ONNX Runtime, or null if it is not installed. One that is installed and does not load is no reason to do without. */
export async function importRuntime(): Promise<Runtime | null> {
  try {
    return (await import(RUNTIME)) as Runtime;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ERR_MODULE_NOT_FOUND") return null;
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
