import { type Extent, FULL, QUICK } from "./extent.js";
import { measureKernels } from "./kernels.js";
import { conditions, type Limits, measureLimits } from "./machine.js";
import { measurePeers } from "./peers/compare.js";
import { profileStep } from "./profile.js";
import {
  formatConditions,
  formatLimits,
  formatStep,
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
import type { Peers, ProcessRun, Results, Row, Scaling, StepProfile, StepRow } from "./results.js";
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
  const runs = await printRuns(extent, print);
  const scaling = await printScaling(extent, limits, print);
  const peers = options.peers ? await printPeers(extent, print) : null;
  const versions = { ...about.versions, ...peers?.versions };
  return {
    format: 1,
    ...about,
    versions,
    quick: options.quick,
    limits,
    rows: [...rows, ...steps],
    profiles,
    runs,
    scaling,
    peers,
  };
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
  print(["median (range) of the rounds, and what arithmetic and memory allow:", ...rows.map(formatStep)].join("\n"));
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
  print(peersTable.heading("peers, in turns: median (range); the same losses first"));
  const peers = await measurePeers(extent, (row) => print(peersTable.row(peerCells(row))));
  for (const note of peers.notes) print(note);
  return peers;
}
