import { setTimeout } from "node:timers/promises";
import { bfloat16Unit, distill, type Precision, withGenerator } from "distillery";
import { compareLosses } from "../agreement.js";
import { startPasses, startTraining, TEACHER } from "../convolution.js";
import type { Extent } from "../extent.js";
import { estimate, ratios, takeTurns } from "../measure.js";
import type { PeerRow, Peers } from "../results.js";
import { epochsFor, type Paced, PacedRun, warmUp } from "../steps/paced_run.js";
import { MODES, type Mode, scriptSetup, start, TITLES } from "../steps/setup.js";
import { startTransformer } from "../transformer.js";
import { type FoundPeers, findPeers, type Peer, TRANSFORMER } from "./peer.js";

/** Long enough for the other side's threads to stop waiting actively for more work. */
const PAUSE_MS = 250;

/** Measures the same steps and the same whole run by every peer that is found and by the library, in turns. */
export async function measurePeers(extent: Extent, onRow: (row: PeerRow) => void): Promise<Peers> {
  const found = await findPeers();
  const [rows, notes] = [[] as PeerRow[], [...found.notes]];
  const unit = bfloat16Unit();
  notes.push(`bfloat16: by ${unit}`);
  const precisions: Precision[] = unit === "float32 arithmetic" ? ["float32"] : ["float32", "bfloat16"];
  try {
    const { trained, passes } = extent.convolution;
    const measures = [
      ...precisions.flatMap((precision) => [
        ...MODES.map((mode) => measureScript(mode, precision)),
        measureWholeRun(precision),
      ]),
      ...trained.map((name) => measureMode(name, `step of ${name}`, () => startTraining(name))),
      ...(extent.transformer ? [measureMode(TRANSFORMER, "step of a text transformer", startTransformer)] : []),
      ...(passes ? [measureMode(`pass ${TEACHER}`, `forward of the frozen ${TEACHER}`, startPasses)] : []),
    ];
    for (const measure of measures) {
      for (const row of await measure(found, extent, notes)) {
        rows.push(row);
        onRow(row);
      }
    }
  } finally {
    for (const { process } of found.peers) process.stop();
  }
  return { versions: found.versions, rows, notes };
}

type Measure = (found: FoundPeers, extent: Extent, notes: string[]) => Promise<PeerRow[]>;

function measureScript(mode: Mode, precision: Precision): Measure {
  const start = () => PacedRun.start({ ...scriptSetup(mode), precision });
  return measureMode(mode, titled(TITLES[mode], precision), start, precision === "float32");
}

function titled(work: string, precision: Precision): string {
  return precision === "float32" ? work : `${work}, ours in ${precision}`;
}

/** `isExact`: whether a peer's losses have to be ours. */
function measureMode(mode: string, work: string, start: () => Promise<Paced>, isExact = true): Measure {
  return async ({ peers }, extent, notes) => {
    if (peers.length === 0) return [];
    const run = await start();
    const present: Peer[] = [];
    for (const peer of peers) if (await opens(peer, mode, isExact ? run.losses : [], notes)) present.push(peer);
    const warmSteps = await warmUp(run, extent.turnMs);
    for (const peer of present) await ask(peer, { run: mode, steps: warmSteps });
    const epochs = await epochsFor(run, extent.turnMs);
    const steps = epochs * run.stepsPerEpoch;
    const [ours = [], ...theirs] = await takeTurns(extent.peerRounds, [
      async () => {
        await setTimeout(PAUSE_MS);
        await run.epoch();
        return run.epoch(epochs);
      },
      ...present.map((peer) => async () => {
        await setTimeout(PAUSE_MS);
        await ask(peer, { run: mode, steps: run.stepsPerEpoch });
        return (1000 * (await ask(peer, { run: mode, steps }))) / steps;
      }),
    ]);
    await run.stop();
    return present.map((peer, i) => peerRow(work, peer, ours, theirs[i], "ms a step"));
  };
}

/** Whether a peer does a mode; then its first losses are the library's. */
async function opens(peer: Peer, mode: string, ours: readonly number[], notes: string[]): Promise<boolean> {
  const comparable = peer.comparable(mode);
  if (comparable === null) return false;
  let losses: readonly number[];
  try {
    losses = (await peer.process.ask({ open: mode, variant: peer.variant })).losses ?? [];
  } catch (error) {
    notes.push(`${peer.name}, ${mode}: not measured (${(error as Error).message})`);
    return false;
  }
  // The first epoch of these runs may have two steps.
  compareLosses(`${peer.name}, ${mode}`, ours, losses.slice(0, Math.min(comparable, ours.length)));
  return true;
}

/** The script's run with the teacher in eval mode: the library caches its logits, its default. */
function measureWholeRun(precision: Precision): Measure {
  return async ({ peers }, extent) => {
    const eager = peers.filter(({ variant }) => variant === "eager");
    if (eager.length === 0) return [];
    const steps = (extent.epochs * 1024) / 64;
    const [ours = [], ...theirs] = await takeTurns(extent.peerRuns, [
      async () => {
        await setTimeout(PAUSE_MS);
        return wholeRunSeconds(extent.epochs, precision);
      },
      ...eager.map((peer) => async () => {
        await setTimeout(PAUSE_MS);
        return ask(peer, { whole: "eval", steps });
      }),
    ]);
    const work = titled("whole run, teacher in eval mode", precision);
    return eager.map((peer, i) => peerRow(work, peer, ours, theirs[i], "s a run"));
  };
}

/** What `distill()` takes, from networks just made. */
async function wholeRunSeconds(epochs: number, precision: Precision): Promise<number> {
  const { teacher, student, data, generator } = start(scriptSetup("eval"));
  if (student === null) throw new Error("wholeRunSeconds: expected a student");
  const begun = performance.now();
  const run = { teacher: teacher.freeze(), student, data, epochs, shuffle: false, precision };
  await withGenerator(generator, () => distill(run));
  return (performance.now() - begun) / 1000;
}

async function ask({ process, variant }: Peer, request: Readonly<Record<string, unknown>>): Promise<number> {
  const { seconds } = await process.ask({ ...request, variant });
  if (seconds === undefined) throw new Error("a peer: expected a time");
  return seconds;
}

function peerRow(
  work: string,
  { name }: Peer,
  ours: readonly number[],
  theirs: readonly number[],
  unit: PeerRow["unit"],
): PeerRow {
  return { work, peer: name, ours: estimate(ours), theirs: estimate(theirs), ratio: ratios(theirs, ours), unit };
}
