import { Command } from "commander";
import { distillationOptions, SCHEMAS } from "../config/index.js";
import { StudentNet } from "../models/student_net.js";
import { TeacherNet } from "../models/teacher_net.js";
import { distill } from "../train/index.js";
import { controlsFrom } from "./controls.js";
import { dryRun } from "./dry_run.js";
import { printEnd } from "./ending.js";
import { addLoading, addOptions, addRunning, givenFlags, type LoadFlags, type TrainingFlags } from "./flags.js";
import { interruptible } from "./interrupt.js";
import { Printer } from "./printer.js";
import type { Settings } from "./settings.js";
import { expectBatches, expectFits, readNetwork, setUp } from "./setup.js";

type DistillFlags = TrainingFlags & LoadFlags;

/** `distillery distill`. */
export function distillCommand(run: (flags: DistillFlags) => Promise<void>): Command {
  const command = new Command("distill").description(
    "distil a teacher into a student; by default the script, number for number",
  );
  return addLoading(addRunning(addOptions(command, SCHEMAS.distill))).action(() => run(givenFlags(command)));
}

/** Distils, prints an epoch a line, and says where the student is and how it does. */
export async function runDistill(settings: Settings<"distill">, flags: DistillFlags): Promise<void> {
  const { config } = settings;
  const { out, report } = config;
  const { source } = await setUp(config);
  const teacher =
    config.teacher === undefined ? new TeacherNet(source.sizes) : await readNetwork(config.teacher, flags);
  if (config.teacher !== undefined) expectFits(config.teacher, teacher, source);
  const student = new StudentNet(source.sizes);
  const input = {
    ...distillationOptions(config),
    teacher: teacher.freeze(),
    student,
    data: source.train(),
    ...(source.validation && { validation: source.validation }),
    ...(config.teacherCache !== undefined && { teacherCache: config.teacherCache }),
  };
  if (input.teacherMode === "train") expectBatches(input, input.data);
  if (flags.dryRun) {
    return dryRun({ teacher, student }, [{ name: "the distillation", input, times: 1 }], source, flags);
  }
  const printer = Printer.open(flags, "KD Loss", config.epochs);
  try {
    const result = await interruptible(printer.note, (signal) =>
      distill({ ...input, ...controlsFrom(settings, flags), signal, ...printer.controls }),
    );
    await printEnd(printer, { role: "student", network: student, teacher, result, source, out, report });
  } finally {
    printer.close();
  }
}
