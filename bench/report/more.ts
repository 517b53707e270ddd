import type { Spread } from "../measure.js";
import type { PeerRow, ProcessRun, ProfileEntry, ScalingPoint } from "../results.js";
import { TITLES } from "../steps/mode.js";
import { digits, percent, Table } from "./table.js";

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

/** Runs as processes of their own. */
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
