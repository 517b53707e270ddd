import { Command } from "commander";
import { SCHEMAS, trainingOptions } from "../config/index.js";
import { isSilentRank } from "../mpi.js";
import { trainTeacher } from "../train/index.js";
import { dryRun } from "./dry_run.js";
import { expectBatches, expectLossBatches } from "./expect_batches.js";
import { addLoading, addOptions, addRunning, givenFlags, type LoadFlags, type TrainingFlags } from "./flags.js";
import { expectReadable, Networks } from "./networks.js";
import { openingLines } from "./opening.js";
import { RunPrinter } from "./printer.js";
import { controlsOf } from "./run_controls.js";
import { type RunSummary, summarizeRun } from "./run_summary.js";
import { configured, type Settings } from "./settings.js";
import { setUp } from "./source.js";
import { stoppableRun } from "./stoppable_run.js";
import { withRanks } from "./with_ranks.js";

const LOSS = "a loss that needs no teacher: cross-entropy (default), or a module of your own, ./my_loss.mjs";

/** `distillery train-teacher`. */
export function makeCommand(): Command {
  const command = new Command("train-teacher").description("train the teacher on labelled data");
  return addLoading(addRunning(addOptions(command, SCHEMAS["train-teacher"], { loss: LOSS }))).action(() =>
    configured("train-teacher", withRanks(runTrainTeacher))(givenFlags(command)),
  );
}

/** Trains, prints a line per epoch, and reports where the teacher is and how accurate it is; null for a dry run. */
export async function runTrainTeacher(
  settings: Settings<"train-teacher">,
  flags: TrainingFlags & LoadFlags,
): Promise<RunSummary | null> {
  const { config, userOptions } = settings;
  const { out, report } = config;
  const networks = await Networks.open(userOptions);
  const source = await setUp(config, undefined, flags);
  const model = await networks.makeFrom("teacherNetwork", source.context, config.from, flags);
  const input = {
    ...trainingOptions(config),
    loss: config.loss,
    model,
    data: source.train(),
    validation: source.validation ?? undefined,
  };
  expectReadable("teacherNetwork", model, input.data);
  expectBatches(model, input, input.data);
  await expectLossBatches(config.loss, { student: model, teacher: null, data: input.data }, input);
  if (flags.dryRun) {
    await dryRun({ teacher: model, student: null }, [{ name: "the training", input, times: 1 }], source, flags);
    return null;
  }
  const controls = await controlsOf(settings, flags);
  const printer = new RunPrinter(flags, {
    lossName: "Loss",
    epochs: config.epochs,
    details: config.loss !== undefined,
    opening: (width) =>
      openingLines({ source, training: input.data, validation: source.validation }, { teacher: model }, width),
  });
  try {
    const train = (signal: AbortSignal) => trainTeacher({ ...input, ...controls, signal, ...printer.controls });
    return await stoppableRun(printer, out, train, async (result, expectGoing) => {
      if (isSilentRank()) return null;
      return summarizeRun(printer, { role: "teacher", network: model, result, source, out, report, expectGoing });
    });
  } finally {
    printer.close();
  }
}
