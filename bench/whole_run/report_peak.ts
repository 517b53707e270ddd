// Loaded before a program by `node --import`: writes its peak resident memory to file descriptor 3 when it ends.
import { readFileSync, writeSync } from "node:fs";

process.once("exit", () => writeSync(3, JSON.stringify({ peakRssBytes: peakRssBytes() })));

/** In bytes. Linux keeps it by program; `getrusage` may report the peak of a larger parent process. */
function peakRssBytes(): number {
  try {
    const [, kilobytes] = readFileSync("/proc/self/status", "utf8").match(/^VmHWM:\s*(\d+) kB$/m) ?? [];
    if (kilobytes !== undefined) return Number(kilobytes) * 1024;
  } catch {}
  return process.resourceUsage().maxRSS * 1024;
}
