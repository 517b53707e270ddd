import type { Extent } from "./extent.js";
import type { Limits } from "./limits.js";
import { takeTurns } from "./measure.js";
import type { Scaling, ScalingPoint } from "./results.js";
import { epochsFor } from "./steps/measure.js";
import { type StepSetup, scriptSetup } from "./steps/mode.js";
import { PacedRun } from "./steps/paced_run.js";
import { stepWork } from "./steps/sizes.js";

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
  const [time] = await takeTurns(extent.rounds, [() => run.epoch(epochs)]);
  await run.stop();
  const { flops } = stepWork(setup);
  const ms = time?.median ?? Number.NaN;
  return { ...setup, flops, ms, shareOfPeak: flops / ms / 1e6 / limits.all.gflops };
}
