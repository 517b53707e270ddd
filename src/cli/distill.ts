import { Command } from "commander";
import { SCHEMAS } from "../config/index.js";
import { ranksOfJob } from "../mpi.js";
import { UsageError } from "./error_boundary.js";
import { TEACHER_TEXT } from "./flag_table.js";
import { addLoading, addOptions, addRunning, givenFlags, type LoadFlags, type TrainingFlags } from "./flags.js";
import { runDistill } from "./run_distill.js";
import { configured, type Settings } from "./settings.js";
import { withRanks } from "./with_ranks.js";

/** `distillery distill`. */
export function makeCommand(): Command {
  const command = new Command("distill").description(
    "distil a teacher into a student; by default the reference script, number for number",
  );
  return addLoading(
    addRunning(
      addOptions(command, SCHEMAS.distill, {
        teacher: `${TEACHER_TEXT} (default for synthetic data: random weights; needless if the loss needs none)`,
      }),
    ),
  ).action(() => configured("distill", withRanks(runOnceOrChain))(givenFlags(command)));
}

async function runOnceOrChain(settings: Settings<"distill">, flags: TrainingFlags & LoadFlags): Promise<unknown> {
  const { chain, generations } = settings.config;
  if (chain === undefined && generations === undefined) return runDistill(settings, flags);
  if (ranksOfJob() > 1) {
    throw new UsageError("--chain and --generations: mpirun takes one run at a time: start each link by itself");
  }
  // Loaded late: most calls have no chain.
  const { runChain } = await import("./chain.js");
  return runChain(settings, flags);
}
