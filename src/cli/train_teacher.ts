import { Command } from "commander";
import { SCHEMAS, trainingOptions } from "../config/index.js";
import { TeacherNet } from "../models/teacher_net.js";
import { trainTeacher } from "../train/index.js";
import { controlsFrom } from "./controls.js";
import { dryRun } from "./dry_run.js";
import { printEnd } from "./ending.js";
import { addOptions, addRunning, givenFlags, type TrainingFlags } from "./flags.js";
import { interruptible } from "./interrupt.js";
import { Printer } from "./printer.js";
import type { Settings } from "./settings.js";
import { expectBatches, setUp } from "./setup.js";

/** `distillery train-teacher`. */
export function trainTeacherCommand(run: (flags: TrainingFlags) => Promise<void>): Command {
  const command = new Command("train-teacher").description("train the teacher on labelled data");
  return addRunning(addOptions(command, SCHEMAS["train-teacher"])).action(() => run(givenFlags(command)));
}

/** Trains, prints an epoch a line, and says where the teacher is and how it does. */
export async function runTrainTeacher(settings: Settings<"train-teacher">, flags: TrainingFlags): Promise<void> {
  const { config } = settings;
  const { out, report } = config;
  const { source } = await setUp(config);
  const model = new TeacherNet(source.sizes);
  const input = {
    ...trainingOptions(config),
    model,
    data: source.train(),
    ...(source.validation && { validation: source.validation }),
  };
  expectBatches(input, input.data);
  if (flags.dryRun) {
    return dryRun({ teacher: model, student: null }, [{ name: "the training", input, times: 1 }], source, flags);
  }
  const printer = Printer.open(flags, "Loss", config.epochs);
  try {
    const result = await interruptible(printer.note, (signal) =>
      trainTeacher({ ...input, ...controlsFrom(settings, flags), signal, ...printer.controls }),
    );
    await printEnd(printer, { role: "teacher", network: model, result, source, out, report });
  } finally {
    printer.close();
  }
}
