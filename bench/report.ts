import type { LossPair } from "./agreement.js";
import type { Work } from "./cases/case.js";
import type { Machine } from "./machine.js";

/** One line of the table. */
export interface Row {
  readonly name: string;
  readonly shape: string;
  readonly kernelMs: number;
  readonly plainMs: number;
  /** How many times as fast the kernel is. */
  readonly ratio: number;
  /** The kernel's rate, in 10^9 of `unit` a second. */
  readonly gigaPerSecond: number;
  readonly unit: Work["unit"];
  /** The kernel's share of the machine's arithmetic peak; null where it does not count in FLOP. */
  readonly shareOfPeak: number | null;
}

/** A line from the two times of a case. */
export function row(
  { name, shape, work }: { name: string; shape: string; work: Work },
  kernelMs: number,
  plainMs: number,
  peakGflops: number,
): Row {
  const gigaPerSecond = work.amount / kernelMs / 1e6;
  const shareOfPeak = work.unit === "FLOP" ? gigaPerSecond / peakGflops : null;
  return { name, shape, kernelMs, plainMs, ratio: plainMs / kernelMs, gigaPerSecond, unit: work.unit, shareOfPeak };
}

/** The lines above the table. */
export function formatHeader({ cpu, cores, threads, platform, node, peakGflops }: Machine): string {
  return [
    `${cpu}, ${cores} cores, ${platform}, Node ${node}`,
    `kernels: ${threads} ${threads === 1 ? "thread" : "threads"}; plain TypeScript: 1 thread`,
    `arithmetic peak, measured on those threads: ${digits(peakGflops)} GFLOP/s`,
  ].join("\n");
}

/** What both implementations' losses are. */
export function formatLosses(losses: readonly LossPair[]): string {
  const lines = losses.map(({ kernels, plain }, i) => `  step ${i + 1}: ${kernels.toFixed(6)}  ${plain.toFixed(6)}`);
  return ["the same loss by both (kernels, plain TypeScript):", ...lines].join("\n");
}

/** The table's heading, with the rule below it. */
export function formatHeading(): string {
  const heading = line("", "shape", "kernels ms", "plain ms", "ratio", "rate", "of peak");
  return `${heading}\n${"-".repeat(heading.length)}`;
}

/** One line of the table. */
export function formatRow({ name, shape, kernelMs, plainMs, ratio, gigaPerSecond, unit, shareOfPeak }: Row): string {
  const share = shareOfPeak === null ? "" : `${(shareOfPeak * 100).toFixed(0)}%`;
  const rate = unit === "draws" ? `${digits(gigaPerSecond * 1e3)} M/s` : `${digits(gigaPerSecond)} G${unit}/s`;
  return line(name, shape, digits(kernelMs), digits(plainMs), `${digits(ratio)}x`, rate, share);
}

function line(name: string, shape: string, ...rest: readonly string[]): string {
  const widths = [11, 10, 8, 14, 8];
  return name.padEnd(37) + shape.padStart(13) + rest.map((cell, i) => cell.padStart(widths[i])).join("");
}

/** Three digits that count. */
function digits(x: number): string {
  return x >= 100 ? x.toFixed(0) : x.toPrecision(3);
}
