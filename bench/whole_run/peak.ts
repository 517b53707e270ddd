import { readFileSync } from "node:fs";

/**
 * The largest resident memory of this process, in bytes. Linux keeps it by program; what `getrusage` tells is that of the
 * parent too, where the parent was larger when it started this process.
 */
export function peakRssBytes(): number {
  try {
    const [, kilobytes] = readFileSync("/proc/self/status", "utf8").match(/^VmHWM:\s*(\d+) kB$/m) ?? [];
    if (kilobytes !== undefined) return Number(kilobytes) * 1024;
  } catch {}
  return process.resourceUsage().maxRSS * 1024;
}
