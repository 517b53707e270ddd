import { getNumThreads } from "distillery";
import { compareLosses } from "../agreement.js";
import { rateOf } from "../cases/case.js";
import type { Extent } from "../extent.js";
import { withThreadsAsync } from "../library.js";
import { bandwidthFor, type Ceiling, type Limits, type Share } from "../machine.js";
import { type Estimate, estimate, takeTurns } from "../measure.js";
import type { Scaling, ScalingPoint, StepRow } from "../results.js";
import { epochsFor, PacedRun } from "./paced_run.js";
import { plainStep, stepByHand } from "./reference_steps.js";
import { MODES, type Mode, type StepSetup, scriptSetup, stepWork, TITLES } from "./setup.js";

const COMPARED_STEPS = 3;
const OTHER_TEACHERS = { Sequential: "Sequential", OwnTeacher: "class of the user's own" } as const;

/** A way to make steps: gives the milliseconds that one took. */
interface Loop {
  readonly name: string;
  readonly turn: () => number | Promise<number>;
}

/** Measures a step of each mode in the library's own loop, and of the script in a loop as a user writes it. */
export async function* measureSteps(extent: Extent, limits: Limits): AsyncGenerator<StepRow> {
  for (const mode of MODES) yield* await measureMode(mode, extent, limits);
}

async function measureMode(mode: Mode, extent: Extent, limits: Limits): Promise<StepRow[]> {
  const setup = scriptSetup(mode);
  const run = await PacedRun.start(setup);
  const plain = plainStep(setup);
  compareLosses(`${TITLES[mode]}, plain TypeScript`, run.losses, losses(plain));
  const epochs = await epochsFor(run, extent.turnMs);
  const loops: Loop[] = [{ name: TITLES[mode], turn: () => run.epoch(epochs) }];
  const others: PacedRun[] = [];
  if (mode === "train") {
    for (const teacherClass of ["Sequential", "OwnTeacher"] as const) {
      const other = await PacedRun.start({ ...setup, teacherClass });
      compareLosses(`${TITLES[mode]}, ${teacherClass}`, run.losses, other.losses, 0);
      others.push(other);
      loops.push({ name: `the same, its teacher a ${OTHER_TEACHERS[teacherClass]}`, turn: () => other.epoch(epochs) });
    }
    loops.push(loopByHand(run, epochs * run.stepsPerEpoch));
  }
  const threads = getNumThreads();
  const counts = threads === 1 ? [1] : [1, threads];
  const turns = loops.flatMap(({ turn }) => counts.map((count) => () => withThreadsAsync(count, async () => turn())));
  const times = await takeTurns(extent.rounds, turns);
  for (const each of [run, ...others]) await each.stop();
  const plainMs = estimate(Array.from({ length: extent.plainSteps }, () => meanTime(plain, 1))).median;
  return loops.map(({ name }, i) => {
    const [one, all = one] = times.slice(i * counts.length, (i + 1) * counts.length).map(estimate);
    return stepRow(name, setup, one, all, plainMs, limits);
  });
}

/** The script in a loop written by hand; checked first to give the same bits as the library's loop. */
function loopByHand(run: PacedRun, steps: number): Loop {
  const step = stepByHand(scriptSetup("train"));
  compareLosses("the script by hand", run.losses, losses(step), 0);
  return { name: "the script, its loop written by hand", turn: () => meanTime(step, steps) };
}

function losses(step: () => number): number[] {
  return Array.from({ length: COMPARED_STEPS }, step);
}

function meanTime(step: () => number, steps: number): number {
  const begun = performance.now();
  for (let i = 0; i < steps; i++) step();
  return (performance.now() - begun) / steps;
}

function stepRow(
  name: string,
  setup: StepSetup,
  one: Estimate,
  all: Estimate,
  plainMs: number,
  limits: Limits,
): StepRow {
  const work = stepWork(setup);
  const ofPeak = (ms: number, { gflops }: Ceiling): Share => ({
    bound: "arithmetic",
    share: rateOf(work, ms) / gflops,
  });
  return {
    group: "steps",
    mode: setup.mode,
    name,
    shape: `${(work.flops / 1e6).toFixed(0)} MFLOP`,
    work,
    oneThreadMs: one.median,
    allThreadsMs: all.median,
    speedUp: one.median / all.median,
    plainMs,
    ratio: plainMs / all.median,
    rate: rateOf(work, all.median),
    share: ofPeak(all.median, limits.all),
    shareOneThread: ofPeak(one.median, limits.one),
    limitMs: work.flops / limits.all.gflops / 1e6 + work.bytes / bandwidthFor(limits.all, work.bytes) / 1e6,
    estimates: { oneThread: one, allThreads: all },
  };
}

/** The script's step over the batch, and over the width of both networks, on all threads. */
export async function measureScaling(extent: Extent, limits: Limits): Promise<Scaling> {
  const script = scriptSetup("train");
  const overBatch: ScalingPoint[] = [];
  const overWidth: ScalingPoint[] = [];
  for (const rows of extent.batches) overBatch.push(await measurePoint({ ...script, rows }, extent, limits));
  for (const width of extent.widths) overWidth.push(await measurePoint({ ...script, width }, extent, limits));
  return { overBatch, overWidth };
}

async function measurePoint(setup: StepSetup, extent: Extent, limits: Limits): Promise<ScalingPoint> {
  const run = await PacedRun.start(setup);
  const epochs = await epochsFor(run, extent.turnMs);
  const [times = []] = await takeTurns(extent.rounds, [() => run.epoch(epochs)]);
  await run.stop();
  const { flops } = stepWork(setup);
  const time = estimate(times);
  const ms = time.median;
  return { ...setup, flops, ms, estimate: time, shareOfPeak: flops / ms / 1e6 / limits.all.gflops };
}
