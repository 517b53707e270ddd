import type { Work } from "./cases/case.js";
import type { Ceiling, Conditions, Limits } from "./machine.js";
import type { Estimate } from "./measure.js";
import type {
  AgainstRow,
  ConvolutionRow,
  InferenceRow,
  PeerRow,
  ProcessRun,
  ProfileEntry,
  Row,
  ScalingPoint,
  StepRow,
} from "./results.js";

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
    { title: "", width: 48, left: true },
    { title: "shape", width: 15 },
    { title: "1 thread ms", width: 13 },
    { title: `${threads} threads ms`, width: 14 },
    { title: "95%", width: 16 },
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
  const { name, shape, work, oneThreadMs, allThreadsMs, estimates, speedUp, plainMs, ratio, rate, share } = row;
  return [
    name,
    shape,
    digits(oneThreadMs),
    digits(allThreadsMs),
    interval(estimates.allThreads),
    `${speedUp.toFixed(2)}x`,
    digits(plainMs),
    `${digits(ratio)}x`,
    formatRate(rate, work.unit),
    percent(share?.share),
    share === null ? "" : share.bound,
  ];
}

/** What arithmetic and memory allow a step. */
export function formatStep({ name, limitMs, allThreadsMs }: StepRow): string {
  return `  ${name}: ${digits(allThreadsMs)} ms, limit ${digits(limitMs)} ms`;
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

/** Convolutional networks. */
export const convolutionTable = new Table([
  { title: "", width: 34, left: true },
  { title: "GFLOP", width: 8 },
  { title: "1 thread ms", width: 20 },
  { title: "all threads ms", width: 20 },
  { title: "speed-up", width: 10 },
  { title: "of peak", width: 9 },
]);

export function convolutionCells({ name, flops, oneThread, allThreads, shareOfPeak }: ConvolutionRow): string[] {
  const speedUp = `${(oneThread.median / allThreads.median).toFixed(2)}x`;
  const times = [oneThread, allThreads].map(formatEstimate);
  return [name, digits(flops / 1e9), ...times, speedUp, percent(shareOfPeak)];
}

/** Few samples a call. */
export const inferenceTable = new Table([
  { title: "", width: 15, left: true },
  { title: "batch", width: 7 },
  { title: "1 thread p50 ms", width: 17 },
  { title: "p99 ms", width: 9 },
  { title: "all threads p50 ms", width: 20 },
  { title: "p99 ms", width: 9 },
]);

export function inferenceCells({ network, rows, oneThread, allThreads }: InferenceRow): string[] {
  return [network, String(rows), ...[oneThread, allThreads].flatMap(({ p50, p99 }) => [digits(p50), digits(p99)])];
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
  { title: "95%", width: 16 },
  { title: "of peak", width: 9 },
]);

export function scalingCells({ rows, width, flops, ms, estimate, shareOfPeak }: ScalingPoint): string[] {
  return [String(rows), `x${width}`, (flops / 1e6).toFixed(0), digits(ms), interval(estimate), percent(shareOfPeak)];
}

/** Peers beside the library. */
export const peersTable = new Table([
  { title: "", width: 36, left: true },
  { title: "peer", width: 30, left: true },
  { title: "unit", width: 11, left: true },
  { title: "theirs", width: 20 },
  { title: "ours", width: 20 },
  { title: "ratio", width: 20 },
]);

export function peerCells({ work, peer, ours, theirs, ratio, unit }: PeerRow): string[] {
  return [work, peer, unit, formatEstimate(theirs), formatEstimate(ours), formatEstimate(ratio)];
}

/** This checkout beside another commit. */
export const againstTable = (commit: string) =>
  new Table([
    { title: "", width: 42, left: true },
    { title: "threads", width: 8 },
    { title: `${commit} ms`, width: 27 },
    { title: "here ms", width: 27 },
    { title: "here / there", width: 24 },
  ]);

export function againstCells({ name, threads, ours, theirs, ratio }: AgainstRow): string[] {
  return [name, String(threads), ...[theirs, ours, ratio].map(formatEstimate)];
}

/** The median with its interval behind it. */
function formatEstimate(estimate: Estimate): string {
  return `${digits(estimate.median)} (${interval(estimate)})`;
}

function interval({ low, high }: Estimate): string {
  return `${digits(low)}-${digits(high)}`;
}
