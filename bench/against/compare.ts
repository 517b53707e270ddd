import { setTimeout } from "node:timers/promises";
import { getNumThreads } from "distillery";
import type { Extent } from "../extent.js";
import { ROOT } from "../library.js";
import { estimate, ratios, takeTurns } from "../measure.js";
import type { AgainstRow } from "../results.js";
import { withCheckout } from "./checkout.js";
import { Version } from "./version.js";
import type { Group } from "./workloads.js";

/** Long enough for the other version's threads to stop waiting actively for more work. */
const PAUSE_MS = 30;

/**
 * Measures this checkout and another commit, workload by workload, in turns; `onNote` gets what only one of them has.
 */
export async function compareWith(
  ref: string,
  extent: Extent,
  onRow: (row: AgainstRow) => void,
  onNote: (note: string) => void,
): Promise<{ commit: string; rows: AgainstRow[] }> {
  return withCheckout(ref, async ({ folder, commit }) => {
    const [ours, theirs] = [new Version(ROOT), new Version(folder)];
    const rows: AgainstRow[] = [];
    try {
      for (const group of extent.compared) {
        for (const name of await ours.list(group)) {
          const trouble = await opens(theirs, group, name);
          if (trouble !== null) {
            onNote(`${name}: not measured, ${commit} can't: ${trouble}`);
            continue;
          }
          await ours.open(group, name);
          for (const row of await measure(group, name, ours, theirs, extent)) {
            rows.push(row);
            onRow(row);
          }
          await Promise.all([ours.stop(), theirs.stop()]);
        }
      }
    } finally {
      for (const version of [ours, theirs]) version.end();
    }
    return { commit, rows };
  });
}

/** Why a version can't do a workload; null if it can, and then it has opened it. */
async function opens(version: Version, group: Group, name: string): Promise<string | null> {
  try {
    await version.open(group, name);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

async function measure(group: Group, name: string, ours: Version, theirs: Version, extent: Extent) {
  const counts = [...new Set([1, getNumThreads()])];
  const turn = (version: Version, threads: number) => async () => {
    await setTimeout(PAUSE_MS);
    return version.turn(extent.turnMs, threads);
  };
  const bodies = counts.flatMap((threads) => [turn(ours, threads), turn(theirs, threads)]);
  // Once to warm up.
  for (const body of bodies) await body();
  const times = await takeTurns(extent.rounds, bodies);
  return counts.map((threads, i): AgainstRow => {
    const [here, there] = times.slice(2 * i) as [number[], number[]];
    return { group, name, threads, ours: estimate(here), theirs: estimate(there), ratio: ratios(here, there) };
  });
}
