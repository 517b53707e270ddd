import { expectInteger } from "./checks.js";
import { native } from "./native.js";

export const MAX_THREADS = 1024;

/**
 * The number of cores that this process may use. In a container or a batch job, that is its share and not the whole
 * host.
 */
export function numCores(): number {
  return native.cores();
}

/**
 * Sets how many threads the kernels may use. The default is `$DISTILLERY_THREADS`, limited to the cores that the
 * process may use, or else all of these. Results have the same bits for any number.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for anything but a whole number from 1 to 1024.
 * @example
 * ```ts
 * setNumThreads(1);
 * ```
 */
export function setNumThreads(threads: number): void {
  native.setThreads(expectInteger("threads", threads, 1, MAX_THREADS));
}

/**
 * How many threads the kernels may use. `torch.get_num_threads`.
 *
 * @example
 * ```ts
 * const threads = getNumThreads();
 * ```
 */
export function getNumThreads(): number {
  return native.threads();
}

const { DISTILLERY_THREADS: preset = "" } = process.env;
if (preset !== "") {
  const threads = expectInteger("DISTILLERY_THREADS", /^\d+$/.test(preset) ? Number(preset) : preset, 1, MAX_THREADS);
  setNumThreads(Math.min(threads, numCores()));
}
