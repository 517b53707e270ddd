import type { Work } from "./cases/case.js";
import type { Conditions, Limits, Share } from "./machine.js";
import type { Estimate } from "./measure.js";
import type { Mode, StepSetup } from "./steps/setup.js";

/** One line of the tables: some work by the kernels on one thread and on all, and in plain TypeScript. */
export interface Row {
  readonly group: "products" | "layers" | "random stream" | "losses and optimizer" | "steps";
  readonly name: string;
  readonly shape: string;
  readonly work: Work;
  readonly oneThreadMs: number;
  readonly allThreadsMs: number;
  /** All threads against one. */
  readonly speedUp: number;
  readonly plainMs: number;
  /** All threads against plain TypeScript. */
  readonly ratio: number;
  /** On all threads, in 10^9 of `work.unit` a second. */
  readonly rate: number;
  /** On all threads; of a whole step, its share of the arithmetic peak. */
  readonly share: Share | null;
  readonly shareOneThread: Share | null;
  /** The times with their intervals. */
  readonly estimates: { readonly oneThread: Estimate; readonly allThreads: Estimate };
}

/** A row of a whole step. */
export interface StepRow extends Row {
  readonly mode: Mode;
  /** Arithmetic at its peak, then the optimizer's memory traffic at the bandwidth of its size; all threads. */
  readonly limitMs: number;
}

/** What a kernel does in one step, as the library calls it. */
export interface ProfileEntry {
  readonly kernel: string;
  readonly calls: number;
  readonly ms: number;
  /** The kernel's share of the step's time. */
  readonly share: number;
  /** Bytes of its array arguments, each counted once, over its time. */
  readonly gigabytesPerSecond: number;
  /** null if the kernel is no matrix product. */
  readonly gflops: number | null;
}

/** Where the time of a step goes. */
export interface StepProfile {
  readonly mode: Mode;
  readonly stepMs: number;
  /** The longest first; the last one is the TypeScript around the kernels. */
  readonly entries: readonly ProfileEntry[];
}

/** A run in its own process. */
export interface ProcessRun {
  readonly name: string;
  readonly epochs: number;
  /** From the start of the process to its end. */
  readonly seconds: number;
  /** The time of `distill()` alone; null for the command line. */
  readonly distillSeconds: number | null;
  /** From the start of the process to the end of the first step; null for the command line. */
  readonly firstStepSeconds: number | null;
  readonly peakRssBytes: number;
}

/** A step of a convolutional network's training, or a pass of a frozen one. */
export interface ConvolutionRow {
  readonly name: string;
  /** The multiplications and additions of its products. */
  readonly flops: number;
  readonly oneThread: Estimate;
  readonly allThreads: Estimate;
  /** Of the arithmetic peak, on all threads. */
  readonly shareOfPeak: number;
}

/** The latency of single calls, in ms: the median and the 99th percentile. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
}

/** Calls of `predict()` with few samples. */
export interface InferenceRow {
  readonly network: string;
  readonly rows: number;
  readonly oneThread: Latency;
  readonly allThreads: Latency;
}

/** A step of another size. */
export interface ScalingPoint extends StepSetup {
  readonly flops: number;
  readonly ms: number;
  readonly estimate: Estimate;
  readonly shareOfPeak: number;
}

/** Step times over the batch at the script's width, and over the width at the script's batch. */
export interface Scaling {
  readonly overBatch: readonly ScalingPoint[];
  readonly overWidth: readonly ScalingPoint[];
}

/** The same work by a peer and by the library, in turns. */
export interface PeerRow {
  readonly work: string;
  readonly peer: string;
  readonly ours: Estimate;
  readonly theirs: Estimate;
  /** How many times as long the peer takes, round by round. */
  readonly ratio: Estimate;
  readonly unit: "ms a step" | "s a run";
}

/** The same work by this checkout and by another commit, in turns. */
export interface AgainstRow {
  readonly group: string;
  readonly name: string;
  readonly threads: number;
  /** In ms a step, or a call. */
  readonly ours: Estimate;
  readonly theirs: Estimate;
  /** How many times as long this checkout takes, round by round. */
  readonly ratio: Estimate;
}

/** This checkout beside another commit: the JSON of `--against`. */
export interface AgainstResults extends Conditions {
  readonly format: 1;
  readonly quick: boolean;
  readonly against: string;
  readonly rows: readonly AgainstRow[];
  /** What could not be compared, and why. */
  readonly notes: readonly string[];
}

/** What was found of the peers. */
export interface Peers {
  readonly versions: Readonly<Record<string, string>>;
  readonly rows: readonly PeerRow[];
  /** What could not be measured, and why. */
  readonly notes: readonly string[];
}

/** All that one benchmark gives: the JSON. */
export interface Results extends Conditions {
  /** Grows when a field changes its meaning. */
  readonly format: 2;
  readonly quick: boolean;
  readonly limits: Limits;
  readonly rows: readonly (Row | StepRow)[];
  readonly profiles: readonly StepProfile[];
  readonly convolution: readonly ConvolutionRow[];
  readonly inference: readonly InferenceRow[];
  readonly runs: readonly ProcessRun[];
  readonly scaling: Scaling;
  /** null without `--peers`. */
  readonly peers: Peers | null;
}
