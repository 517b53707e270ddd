import { createRequire } from "node:module";
import { availableParallelism, cpus } from "node:os";
import { getNumThreads } from "../threads.js";

const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };

/** What the figures were made with. */
export function versionsHere(): Record<string, string> {
  const { platform, arch, versions } = process;
  return {
    distillery: version,
    node: versions.node,
    platform: `${platform} ${arch}`,
    processor: `${cpus()[0]?.model.trim() || "unknown"}, ${availableParallelism()} cores`,
    threads: String(getNumThreads()),
  };
}
