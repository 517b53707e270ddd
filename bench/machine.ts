import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, platform, totalmem } from "node:os";
import { join } from "node:path";
import { getNumThreads } from "distillery";
import type { Work } from "./cases/case.js";
import { native, ROOT, withThreads } from "./library.js";
import { type Budget, callTime } from "./measure.js";

/** What the numbers were measured on. */
interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** As the operating system reports it; null if it does not. */
  readonly lastLevelCacheBytes: number | null;
  readonly platform: string;
}

/** What was measured. */
interface Versions {
  readonly distillery: string;
  readonly node: string;
  /** null if there is no Rust. */
  readonly rustc: string | null;
}

/** The conditions of a benchmark. */
export interface Conditions {
  readonly machine: Machine;
  /** What the kernels use; plain TypeScript uses one. */
  readonly threads: number;
  /** Short, with `+changes` if the checkout has some; null outside of a checkout. */
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

/** What a program prints; null if it is missing or fails. */
function said(program: string, args: readonly string[]): string | null {
  try {
    return execFileSync(program, args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return null;
  }
}

/** From Linux, in KiB. */
function lastLevelCache(): number | null {
  for (const level of [3, 2]) {
    try {
      const text = readFileSync(`/sys/devices/system/cpu/cpu0/cache/index${level}/size`, "utf8");
      return Number.parseInt(text, 10) * 1024;
    } catch {}
  }
  return null;
}

/** How fast memory of some size is: an array is added to another, into += x, which is two reads and a write. */
interface Bandwidth {
  /** The size of both arrays together. */
  readonly bytes: number;
  readonly gigabytesPerSecond: number;
}

/** What the machine can do at most with some number of threads. */
export interface Ceiling {
  readonly threads: number;
  /** Fused multiply-adds in registers, in single precision. */
  readonly gflops: number;
  /** By size, from the cache next to a core to memory beyond the last cache. */
  readonly bandwidths: readonly Bandwidth[];
}

/** The ceilings of one thread, and of as many as the kernels use. */
export interface Limits {
  readonly one: Ceiling;
  readonly all: Ceiling;
}

/** What bounds a kernel, and how close it comes. */
export interface Share {
  readonly bound: "arithmetic" | "bandwidth";
  /** The bound's own time over the measured time; 1 is the limit. */
  readonly share: number;
}

const MIB = 2 ** 20;
const PEAK_RUNS = 3;

/** Working sets in bytes: for a core's own caches, two between, and one that the last cache can't hold. */
export function workingSets(lastLevelCacheBytes: number | null): number[] {
  const beyond = Math.min(2 * (lastLevelCacheBytes ?? 128 * MIB), 1024 * MIB);
  return [MIB, 16 * MIB, 128 * MIB, Math.max(beyond, 256 * MIB)];
}

/** Measures the ceilings. */
export function measureLimits(lastLevelCacheBytes: number | null, budget: Budget): Limits {
  const sets = workingSets(lastLevelCacheBytes);
  const ceiling = (threads: number): Ceiling =>
    withThreads(threads, () => ({
      threads,
      gflops: Math.max(...Array.from({ length: PEAK_RUNS }, () => native.peakRate())),
      bandwidths: sets.map((bytes) => ({ bytes, gigabytesPerSecond: bandwidth(bytes, budget) })),
    }));
  const threads = getNumThreads();
  const one = ceiling(1);
  return { one, all: threads === 1 ? one : ceiling(threads) };
}

function bandwidth(bytes: number, budget: Budget): number {
  const length = Math.floor(bytes / 8);
  const [x, into] = [new Float32Array(length).fill(1), new Float32Array(length).fill(1)];
  return (12 * length) / callTime(() => native.accumulate(x, into), budget).median / 1e6;
}

/** The bandwidth, in GB/s, of the smallest measured working set that holds `bytes`. */
export function bandwidthFor({ bandwidths }: Ceiling, bytes: number): number {
  const fitting = bandwidths.find((each) => each.bytes >= bytes) ?? bandwidths.at(-1);
  if (fitting === undefined) throw new Error("bandwidthFor: expected at least one measured bandwidth");
  return fitting.gigabytesPerSecond;
}

/** The least time, in ms, that arithmetic and memory traffic take, and which of them takes longer. */
export function limitOf({ flops, bytes }: Work, ceiling: Ceiling): { ms: number; bound: Share["bound"] } {
  const [arithmetic, memory] = [flops / ceiling.gflops / 1e6, bytes / bandwidthFor(ceiling, bytes) / 1e6];
  return arithmetic >= memory ? { ms: arithmetic, bound: "arithmetic" } : { ms: memory, bound: "bandwidth" };
}

/** How close a time comes to the limit; null for work that is counted in random draws, which has no measured limit. */
export function shareOf(work: Work, ms: number, ceiling: Ceiling): Share | null {
  if (work.unit === "draws") return null;
  const limit = limitOf(work, ceiling);
  return { bound: limit.bound, share: limit.ms / ms };
}
