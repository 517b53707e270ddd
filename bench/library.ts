import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { getNumThreads, setNumThreads } from "distillery";

/** The folder of the project. */
export const ROOT = dirname(createRequire(import.meta.url).resolve("distillery/package.json"));

/** The folder of the installed library. */
export const LIBRARY = join(ROOT, "dist");

/** The kernels as the binding has them. */
export type Binding = typeof import("../index.js");

/** The binding itself, to time a kernel without the tensor around it: the one that the installed library uses. */
export const native: Binding = await import(pathToFileURL(join(ROOT, "index.js")).href);

/** The kernels as the library calls them: an object whose functions can be replaced, which is how they are timed. */
export async function libraryKernels(): Promise<Binding> {
  return (await import(pathToFileURL(join(LIBRARY, "native.js")).href)).native;
}

/** Runs `body` with that number of kernel threads, then restores the number. */
export function withThreads<T>(threads: number, body: () => T): T {
  const before = getNumThreads();
  setNumThreads(threads);
  try {
    return body();
  } finally {
    setNumThreads(before);
  }
}

/** The same for an asynchronous body. */
export async function withThreadsAsync<T>(threads: number, body: () => Promise<T>): Promise<T> {
  const before = getNumThreads();
  setNumThreads(threads);
  try {
    return await body();
  } finally {
    setNumThreads(before);
  }
}
