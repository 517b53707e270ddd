import { expectInteger } from "./checks.js";
import { native } from "./native.js";

export const MAX_THREADS = 1024;

/**
 * Sets how many threads the kernels may use (default: the cores). Results are the same bits at any number.
 *
 * @example
 * ```ts
 * setNumThreads(1);
 * ```
 */
export function setNumThreads(threads: number): void {
  native.setThreads(expectInteger("threads", threads, 1, MAX_THREADS));
}

/** How many threads the kernels may use. */
export function getNumThreads(): number {
  return native.threads();
}
