import { getNumThreads } from "distillery";
import type { Work } from "./cases/work.js";
import { type Budget, medianTime } from "./measure.js";
import { native } from "./native.js";
import { withThreads } from "./threads.js";

/** How fast memory of some size is: an array is added to another, into += x, which is two reads and a write. */
export interface Bandwidth {
  /** Of both arrays together. */
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
  /** Of the time that the bound alone would take; 1 is the limit. */
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
  return (12 * length) / medianTime(() => native.accumulate(x, into), budget) / 1e6;
}

/** The bandwidth, in GB/s, of the smallest measured working set that holds so many bytes. */
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
