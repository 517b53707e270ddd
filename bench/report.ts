import type { Work } from "./cases/case.js";
import type { Ceiling, Conditions, Limits } from "./machine.js";
import type { Spread } from "./measure.js";
import type { PeerRow, ProcessRun, ProfileEntry, Row, ScalingPoint, StepRow } from "./results.js";
import { TITLES } from "./steps/setup.js";

/** How a column is set. */
export interface Column {
  readonly title: string;
  readonly width: number;
  readonly left?: boolean;
}

/** A table whose rows are printed as they come. */
export class Table {
  readonly #columns: readonly Column[];

  constructor(columns: readonly Column[]) {
    this.#columns = columns;
  }

  /** A title, the columns' titles and a rule. */
  heading(title: string): string {
    const titles = this.row(this.#columns.map((column) => column.title));
    const width = this.#columns.reduce((sum, column) => sum + column.width, 0);
    return `\n${title}\n${titles}\n${"-".repeat(width)}`;
  }

  /** A line; a cell wider than its column moves the rest. */
  row(cells: readonly string[]): string {
    const set = this.#columns.map(({ width, left }, i) =>
      left ? (cells[i] ?? "").padEnd(width) : (cells[i] ?? "").padStart(width),
    );
    return set.join("").trimEnd();
  }
}

/** Three digits that count. */
export function digits(x: number): string {
  return Math.abs(x) >= 100 ? x.toFixed(0) : x.toPrecision(3);
}

/** A share as a percentage; empty if there is none. */
export function percent(share: number | null | undefined): string {
  return share == null ? "" : `${(share * 100).toFixed(0)}%`;
}

/** The lines above the tables. */
export function formatConditions({ machine, threads, commit, versions }: Conditions): string {
  const { cpu, cores, platform, memoryBytes } = machine;
  const rust = versions.rustc === null ? "" : `, ${versions.rustc}`;
  return [
    `${cpu}, ${cores} cores, ${(memoryBytes / 2 ** 30).toFixed(0)} GiB, ${platform}`,
    `distillery ${versions.distillery} (${commit ?? "no checkout"}), Node ${versions.node}${rust}`,
    `kernels: ${threads} ${threads === 1 ? "thread" : "threads"}; plain TypeScript: 1 thread`,
  ].join("\n");
}

/** What the machine can do at most: the shares below are of these. */
export function formatLimits({ one, all }: Limits): string {
  const ceilings = one.threads === all.threads ? [one] : [one, all];
  return ["measured limits:", ...ceilings.map(formatCeiling)].join("\n");
}

function formatCeiling({ threads, gflops, bandwidths }: Ceiling): string {
  const memory = bandwidths.map(({ bytes, gigabytesPerSecond }) => {
    return `${digits(gigabytesPerSecond)} GB/s in ${(bytes / 2 ** 20).toFixed(0)} MiB`;
  });
  return `  ${threads} ${threads === 1 ? "thread " : "threads"}  ${digits(gflops)} GFLOP/s; ${memory.join(", ")}`;
}

/** The table of kernels and of whole steps. */
export function rowsTable(threads: number): Table {
  return new Table([
    { title: "", width: 37, left: true },
    { title: "shape", width: 15 },
    { title: "1 thread ms", width: 13 },
    { title: `${threads} threads ms`, width: 14 },
    { title: "speed-up", width: 10 },
    { title: "plain ms", width: 10 },
    { title: "ratio", width: 8 },
    { title: "rate", width: 14 },
    { title: "share", width: 7 },
    { title: "of", width: 12 },
  ]);
}

/** The cells of a row; the last cell of a step's row is the machine's limit. */
export function rowCells(row: Row | StepRow): string[] {
  const { name, shape, work, oneThreadMs, allThreadsMs, speedUp, plainMs, ratio, rate, share } = row;
  return [
    name,
    shape,
    digits(oneThreadMs),
    digits(allThreadsMs),
    `${speedUp.toFixed(2)}x`,
    digits(plainMs),
    `${digits(ratio)}x`,
    formatRate(rate, work.unit),
    percent(share?.share),
    share === null ? "" : share.bound,
  ];
}

/** What the steps' limits are, and the range of their rounds. */
export function formatStep({ name, limitMs, allThreadsMs, spread: { allThreads } }: StepRow): string {
  const range = allThreads.min === allThreads.max ? "" : ` (${digits(allThreads.min)}-${digits(allThreads.max)})`;
  return `  ${name}: ${digits(allThreadsMs)} ms${range}, limit ${digits(limitMs)} ms`;
}

function formatRate(rate: number, unit: Work["unit"]): string {
  return unit === "draws" ? `${digits(rate * 1e3)} M/s` : `${digits(rate)} G${unit}/s`;
}

/** Where a step's time goes, by kernel. */
export const profileTable = new Table([
  { title: "", width: 24, left: true },
  { title: "calls", width: 8 },
  { title: "ms a step", width: 12 },
  { title: "of the step", width: 14 },
  { title: "GFLOP/s", width: 10 },
  { title: "GB/s", width: 8 },
]);

export function profileCells({ kernel, calls, ms, share, gigabytesPerSecond, gflops }: ProfileEntry): string[] {
  const bandwidth = gigabytesPerSecond === 0 ? "" : digits(gigabytesPerSecond);
  return [kernel, digits(calls), digits(ms), percent(share), gflops === null ? "" : digits(gflops), bandwidth];
}

/** Runs in their own processes. */
export const runsTable = new Table([
  { title: "", width: 42, left: true },
  { title: "epochs", width: 7 },
  { title: "process s", width: 11 },
  { title: "distill() s", width: 13 },
  { title: "first step s", width: 14 },
  { title: "peak RSS MB", width: 13 },
]);

export function runCells({
  name,
  epochs,
  seconds,
  distillSeconds,
  firstStepSeconds,
  peakRssBytes,
}: ProcessRun): string[] {
  const orNothing = (x: number | null) => (x === null ? "" : digits(x));
  const rss = (peakRssBytes / 1e6).toFixed(0);
  return [name, String(epochs), digits(seconds), orNothing(distillSeconds), orNothing(firstStepSeconds), rss];
}

/** The script's step at other sizes. */
export const scalingTable = new Table([
  { title: "batch", width: 7 },
  { title: "width", width: 8 },
  { title: "MFLOP", width: 9 },
  { title: "ms a step", width: 11 },
  { title: "of peak", width: 9 },
]);

export function scalingCells({ rows, width, flops, ms, shareOfPeak }: ScalingPoint): string[] {
  return [String(rows), `x${width}`, (flops / 1e6).toFixed(0), digits(ms), percent(shareOfPeak)];
}

/** Peers beside the library. */
export const peersTable = new Table([
  { title: "", width: 36, left: true },
  { title: "peer", width: 30, left: true },
  { title: "unit", width: 11, left: true },
  { title: "theirs", width: 20 },
  { title: "ours", width: 20 },
  { title: "ratio", width: 8 },
]);

export function peerCells({ mode, peer, ours, theirs, ratio, unit }: PeerRow): string[] {
  const title = mode === "whole run" ? "whole run, teacher in eval mode" : TITLES[mode];
  return [title, peer, unit, formatSpread(theirs), formatSpread(ours), `${ratio.toFixed(2)}x`];
}

/** The median, with the least and the largest behind it. */
function formatSpread({ median, min, max }: Spread): string {
  return `${digits(median)} (${digits(min)}-${digits(max)})`;
}
