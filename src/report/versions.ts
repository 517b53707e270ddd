import { availableParallelism, cpus } from "node:os";
import { MANIFEST } from "../package.js";
import { getNumThreads } from "../threads.js";

/** What the figures were made with. */
export function versionsHere(): Record<string, string> {
  const { platform, arch, versions } = process;
  return {
    distillery: MANIFEST.version,
    node: versions.node,
    platform: `${platform} ${arch}`,
    processor: `${cpus()[0]?.model.trim() || "unknown"}, ${availableParallelism()} cores`,
    threads: String(getNumThreads()),
  };
}
