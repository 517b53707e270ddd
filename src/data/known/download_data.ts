import type { DownloadOptions } from "./download.js";
import { expectKnown, type FoundData } from "./find_data.js";

const PATIENCE = { stallMs: 30_000, retryMs: 1000 };

/**
 * Brings a known data set into the user's cache folder (`$DISTILLERY_CACHE`, else the system's place for caches), where
 * {@link findData} finds it; gives what is there where it is anywhere already. Goes on where an earlier call was
 * stopped or cut off. Each file is there whole and with the right SHA-256, or not at all.
 *
 * @throws DistilleryError `BAD_ARGUMENT`; `IO_ERROR` or `NOT_FOUND` where no server has it, which says what to place
 * where; `BAD_DATA` where a server has another file; `ABORTED` by the signal; `IN_USE` where another process brings it.
 * @example
 * ```ts
 * const { folder } = await downloadData("kmnist");
 * const { train, test } = await loadImages("kmnist");
 * ```
 */
export async function downloadData(name: string, options: DownloadOptions = {}): Promise<FoundData> {
  const known = expectKnown(name);
  // Most programs and commands download nothing.
  const { bring } = await import("./download.js");
  return bring(name, known, options, PATIENCE);
}
