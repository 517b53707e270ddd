import { DistilleryError, fromNative } from "./errors.js";

type Binding = typeof import("../index.js");

const binding: Binding = await import("../index.js").catch((cause) => {
  throw new DistilleryError(
    "NATIVE",
    `The native binding could not be loaded on ${process.platform}-${process.arch}: run \`npm run build\` (it needs Rust)`,
    { cause },
  );
});

type Kernel = (...args: unknown[]) => unknown;

/** The kernels, each throwing {@link DistilleryError}. Only this file loads the binding. */
export const native: Binding = Object.fromEntries(
  Object.entries(binding).map(([name, value]) => [name, typeof value === "function" ? guard(value as Kernel) : value]),
) as Binding;

function guard(kernel: Kernel): Kernel {
  return (...args) => {
    try {
      return kernel(...args);
    } catch (error) {
      throw fromNative(error);
    }
  };
}
