import type { Work } from "./cases/case.js";
import type { Conditions, Limits, Share } from "./machine.js";
import type { Spread } from "./measure.js";
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
}

/** A row of a whole step. */
export interface StepRow extends Row {
  readonly mode: Mode;
  /** Arithmetic at its peak, then the optimizer's memory traffic at the bandwidth of its size; all threads. */
  readonly limitMs: number;
  readonly spread: { readonly oneThread: Spread; readonly allThreads: Spread };
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

/** A step of another size. */
export interface ScalingPoint extends StepSetup {
  readonly flops: number;
  readonly ms: number;
  readonly shareOfPeak: number;
}

/** Step times over the batch at the script's width, and over the width at the script's batch. */
export interface Scaling {
  readonly overBatch: readonly ScalingPoint[];
  readonly overWidth: readonly ScalingPoint[];
}

/** The same work by a peer and by the library, in turns. */
export interface PeerRow {
  readonly mode: Mode | "whole run";
  readonly peer: string;
  readonly ours: Spread;
  readonly theirs: Spread;
  /** How many times as long the peer takes. */
  readonly ratio: number;
  readonly unit: "ms a step" | "s a run";
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
  readonly format: 1;
  readonly quick: boolean;
  readonly limits: Limits;
  readonly rows: readonly (Row | StepRow)[];
  readonly profiles: readonly StepProfile[];
  readonly runs: readonly ProcessRun[];
  readonly scaling: Scaling;
  /** null without `--peers`. */
  readonly peers: Peers | null;
}
