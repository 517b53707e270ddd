import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { LIBRARY, ROOT } from "./root.js";

/** The kernels as the binding has them. */
export type Binding = typeof import("../index.js");

/** The binding itself, to time a kernel without the tensor around it: the one that the installed library uses. */
export const native: Binding = await import(pathToFileURL(join(ROOT, "index.js")).href);

/** The kernels as the library calls them: an object whose functions can be replaced, which is how they are timed. */
export async function libraryKernels(): Promise<Binding> {
  return (await import(pathToFileURL(join(LIBRARY, "native.js")).href)).native;
}
