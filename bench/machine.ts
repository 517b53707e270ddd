import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, platform, totalmem } from "node:os";
import { join } from "node:path";
import { getNumThreads } from "distillery";
import { ROOT } from "./root.js";

/** What the numbers were measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** As the operating system tells it; null where it does not. */
  readonly lastLevelCacheBytes: number | null;
  readonly platform: string;
}

/** What was measured. */
export interface Versions {
  readonly distillery: string;
  readonly node: string;
  /** null where there is no Rust. */
  readonly rustc: string | null;
}

/** The conditions of a benchmark. */
export interface Conditions {
  readonly machine: Machine;
  /** What the kernels use; plain TypeScript uses one. */
  readonly threads: number;
  /** Short, with `+changes` where the checkout has some; null outside of a checkout. */
  readonly commit: string | null;
  readonly date: string;
  readonly versions: Versions;
}

/** Describes this machine and this checkout. */
export function conditions(): Conditions {
  return {
    machine: {
      cpu: cpus()[0]?.model.trim() ?? "unknown",
      cores: availableParallelism(),
      memoryBytes: totalmem(),
      lastLevelCacheBytes: lastLevelCache(),
      platform: `${platform()}-${arch()}`,
    },
    threads: getNumThreads(),
    commit: commit(),
    date: new Date().toISOString(),
    versions: {
      distillery: JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version,
      node: process.version,
      rustc: said("rustc", ["--version"]),
    },
  };
}

function commit(): string | null {
  const hash = said("git", ["rev-parse", "--short", "HEAD"]);
  if (hash === null) return null;
  return said("git", ["status", "--porcelain", "--untracked-files=no"]) === "" ? hash : `${hash}+changes`;
}

/** What a program prints; null where it is missing or fails. */
function said(program: string, args: readonly string[]): string | null {
  try {
    return execFileSync(program, args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return null;
  }
}

/** Linux tells it, in KiB. */
function lastLevelCache(): number | null {
  for (const level of [3, 2]) {
    try {
      const text = readFileSync(`/sys/devices/system/cpu/cpu0/cache/index${level}/size`, "utf8");
      return Number.parseInt(text, 10) * 1024;
    } catch {}
  }
  return null;
}
