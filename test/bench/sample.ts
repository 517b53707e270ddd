import { product } from "../../bench/cases/case.js";
import type { Limits } from "../../bench/machine.js";
import type { PeerRow, Results, Row, ScalingPoint, StepRow } from "../../bench/results.js";
import { stepWork } from "../../bench/steps/setup.js";

const MIB = 2 ** 20;

/** Limits with round numbers. */
export const LIMITS: Limits = {
  one: ceiling(1, 100, [50, 20]),
  all: ceiling(2, 200, [100, 25]),
};

function ceiling(threads: number, gflops: number, [near, far]: [number, number]) {
  const bandwidths = [
    { bytes: MIB, gigabytesPerSecond: near },
    { bytes: 256 * MIB, gigabytesPerSecond: far },
  ];
  return { threads, gflops, bandwidths };
}

/** 2 MFLOP in 20 us on all threads: 100 GFLOP/s, half of the peak. */
export const ROW: Row = {
  group: "products",
  name: "A*Bᵀ  <teacher> & fc1",
  shape: "100×100×100",
  work: product(100, 100, 100),
  oneThreadMs: 0.036,
  allThreadsMs: 0.02,
  speedUp: 1.8,
  plainMs: 2,
  ratio: 100,
  rate: 100,
  share: { bound: "arithmetic", share: 0.5 },
  shareOneThread: { bound: "arithmetic", share: 0.556 },
  estimates: {
    oneThread: { median: 0.036, low: 0.035, high: 0.037 },
    allThreads: { median: 0.02, low: 0.0195, high: 0.021 },
  },
};

export const STEP_ROW: StepRow = {
  ...ROW,
  group: "steps",
  mode: "train",
  name: "the script",
  work: stepWork({ mode: "train", rows: 64, width: 1 }),
  limitMs: 3.5,
  allThreadsMs: 4,
  estimates: { oneThread: { median: 8, low: 7, high: 9 }, allThreads: { median: 4, low: 3.9, high: 4.25 } },
};

export const PEER_ROW: PeerRow = {
  work: "teacher's logits known",
  peer: "PyTorch",
  ours: { median: 1, low: 0.9, high: 1.1 },
  theirs: { median: 2.5, low: 2.25, high: 3 },
  ratio: { median: 2.5, low: 2.4, high: 2.75 },
  unit: "ms a step",
};

function point(rows: number, width: number, ms: number): ScalingPoint {
  return {
    mode: "train",
    rows,
    width,
    flops: 7e8 * width,
    ms,
    estimate: { median: ms, low: ms, high: ms },
    shareOfPeak: 0.61,
  };
}

/** A whole benchmark's results. */
export const RESULTS: Results = {
  format: 2,
  machine: { cpu: "A Processor", cores: 2, memoryBytes: 8 * 1024 * MIB, lastLevelCacheBytes: null, platform: "x-y" },
  threads: 2,
  commit: "abc1234",
  date: "2026-01-01T00:00:00.000Z",
  versions: { distillery: "0.1.0", node: "v20.17.0", rustc: null },
  quick: true,
  limits: LIMITS,
  rows: [ROW, STEP_ROW],
  profiles: [],
  convolution: [],
  inference: [],
  runs: [],
  scaling: {
    overBatch: [point(16, 1, 2.345), point(1024, 1, 77.77)],
    overWidth: [point(64, 0.25, 0.777), point(64, 2, 15.43)],
  },
  peers: { versions: { PyTorch: "2.0" }, rows: [PEER_ROW], notes: [] },
};
