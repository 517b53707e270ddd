import { commitOf } from "./against/checkout.js";
import { compareWith } from "./against/compare.js";
import { measureConvolution } from "./convolution.js";
import { type Extent, FULL, QUICK } from "./extent.js";
import { host } from "./host.js";
import { measureInference } from "./inference.js";
import { measureKernels } from "./kernels.js";
import { conditions, type Limits, measureLimits } from "./machine.js";
import { measurePeers } from "./peers/compare.js";
import { profileStep } from "./profile.js";
import {
  againstCells,
  againstTable,
  convolutionCells,
  convolutionTable,
  formatConditions,
  formatLimits,
  formatStep,
  inferenceCells,
  inferenceTable,
  peerCells,
  peersTable,
  profileCells,
  profileTable,
  rowCells,
  rowsTable,
  runCells,
  runsTable,
  scalingCells,
  scalingTable,
} from "./report.js";
import type {
  AgainstResults,
  AgainstRow,
  ConvolutionRow,
  InferenceRow,
  Peers,
  ProcessRun,
  Results,
  Row,
  Scaling,
  StepProfile,
  StepRow,
} from "./results.js";
import { measureScaling, measureSteps } from "./steps/measure.js";
import { TITLES } from "./steps/setup.js";
import { measureRuns } from "./whole_run/measure.js";

type Print = (text: string) => void;

/** Measures everything; prints each line once it is known. */
export async function benchmark(options: { quick: boolean; peers: boolean }, print: Print): Promise<Results> {
  const extent = options.quick ? QUICK : FULL;
  const about = conditions();
  print(formatConditions(about));
  const limits = measureLimits(about.machine.lastLevelCacheBytes, extent.kernel);
  print(formatLimits(limits));
  // What has spawned processes or watched memory comes before what holds much of it.
  const rows = [...printKernels(extent, limits, about.threads, print)];
  const steps = await printSteps(extent, limits, about.threads, print);
  const profiles = await printProfiles(extent, print);
  const convolution = await printConvolution(extent, limits, print);
  const inference = printInference(extent, print);
  const runs = await printRuns(extent, print);
  const scaling = await printScaling(extent, limits, print);
  const peers = options.peers ? await printPeers(extent, print) : null;
  printBusy(print);
  const versions = { ...about.versions, ...peers?.versions };
  return {
    format: 2,
    ...about,
    versions,
    quick: options.quick,
    limits,
    rows: [...rows, ...steps],
    profiles,
    convolution,
    inference,
    runs,
    scaling,
    peers,
  };
}

/** Compares this checkout with another commit; prints each line once it is known. */
export async function comparison(
  { against, quick }: { against: string; quick: boolean },
  print: Print,
): Promise<AgainstResults> {
  const table = againstTable(commitOf(against));
  const about = conditions();
  print(formatConditions(about));
  const notes: string[] = [];
  print(table.heading("this checkout beside another commit, in turns: median (95% interval)"));
  const onNote = (note: string) => {
    notes.push(note);
    print(note);
  };
  const onRow = (row: AgainstRow) => print(table.row(againstCells(row)));
  const { commit, rows } = await compareWith(against, quick ? QUICK : FULL, onRow, onNote);
  printBusy(print);
  return { format: 1, ...about, quick, against: commit, rows, notes };
}

function printBusy(print: Print): void {
  const note = host.note();
  if (note !== null) print(`\n${note}`);
}

function printKernels(extent: Extent, limits: Limits, threads: number, print: Print): Row[] {
  const table = rowsTable(threads);
  const rows: Row[] = [];
  for (const row of measureKernels(extent.kernel, limits)) {
    if (row.group !== rows.at(-1)?.group) print(table.heading(row.group));
    print(table.row(rowCells(row)));
    rows.push(row);
  }
  return rows;
}

async function printSteps(extent: Extent, limits: Limits, threads: number, print: Print): Promise<StepRow[]> {
  const table = rowsTable(threads);
  const rows: StepRow[] = [];
  print(table.heading("a whole step, batch 64 (the same losses by all, first)"));
  for await (const row of measureSteps(extent, limits)) {
    print(table.row(rowCells(row)));
    rows.push(row);
  }
  print(["what arithmetic and memory allow:", ...rows.map(formatStep)].join("\n"));
  return rows;
}

async function printProfiles({ profiledEpochs }: Extent, print: Print): Promise<StepProfile[]> {
  const profiles: StepProfile[] = [];
  for (const mode of ["train", "cached", "teacher"] as const) {
    const profile = await profileStep(mode, profiledEpochs);
    print(profileTable.heading(`where a step's time goes: ${TITLES[mode]}`));
    for (const entry of profile.entries) print(profileTable.row(profileCells(entry)));
    profiles.push(profile);
  }
  return profiles;
}

async function printConvolution(
  { convolution, turnMs }: Extent,
  { all }: Limits,
  print: Print,
): Promise<ConvolutionRow[]> {
  const rows: ConvolutionRow[] = [];
  print(convolutionTable.heading("convolutional networks, 64 images of 3x32x32: median (95% interval)"));
  for await (const row of measureConvolution(convolution, turnMs, all.gflops)) {
    print(convolutionTable.row(convolutionCells(row)));
    rows.push(row);
  }
  return rows;
}

function printInference({ kernel }: Extent, print: Print): InferenceRow[] {
  const rows: InferenceRow[] = [];
  print(inferenceTable.heading("few samples: predict() by the script's networks"));
  for (const row of measureInference(kernel.milliseconds)) {
    print(inferenceTable.row(inferenceCells(row)));
    rows.push(row);
  }
  return rows;
}

async function printRuns(extent: Extent, print: Print): Promise<ProcessRun[]> {
  const runs: ProcessRun[] = [];
  print(runsTable.heading("whole runs, as processes"));
  for await (const run of measureRuns(extent)) {
    print(runsTable.row(runCells(run)));
    runs.push(run);
  }
  return runs;
}

async function printScaling(extent: Extent, limits: Limits, print: Print): Promise<Scaling> {
  const scaling = await measureScaling(extent, limits);
  print(scalingTable.heading("the script's step over batch and width"));
  for (const point of [...scaling.overBatch, ...scaling.overWidth]) print(scalingTable.row(scalingCells(point)));
  return scaling;
}

async function printPeers(extent: Extent, print: Print): Promise<Peers> {
  print(peersTable.heading("peers, in turns: median (95% interval); the same losses first"));
  const peers = await measurePeers(extent, (row) => print(peersTable.row(peerCells(row))));
  for (const note of peers.notes) print(note);
  return peers;
}
