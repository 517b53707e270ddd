import { expectInteger } from "./checks.js";
import { native } from "./native.js";

/**
 * Sets how many threads the kernels may use (default: the cores). Results are the same bits at any number.
 *
 * @example
 * ```ts
 * setNumThreads(1);
 * ```
 */
export function setNumThreads(threads: number): void {
  native.setThreads(expectInteger("threads", threads, 1, 1024));
}

/** How many threads the kernels may use. */
export function getNumThreads(): number {
  return native.threads();
}
