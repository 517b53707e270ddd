import { Command } from "commander";
import { StudentNet } from "../models/student_net.js";
import { TeacherNet } from "../models/teacher_net.js";
import { distill, evaluate } from "../train/index.js";
import { distillationSchema } from "../train/options.js";
import { UsageError } from "./errors.js";
import {
  addLoading,
  addNumbers,
  addTraining,
  controlsFrom,
  type LoadFlags,
  optionsFrom,
  type TrainingFlags,
} from "./flags.js";
import { interruptible } from "./interrupt.js";
import { Printer, percent } from "./printer.js";
import { expectFits, readNetwork, setUp } from "./setup.js";

interface DistillFlags extends TrainingFlags, LoadFlags {
  teacher?: string;
  teacherMode?: string;
  teacherCache?: boolean;
}

/** `distillery distill`. */
export function distillCommand(run: (flags: DistillFlags) => Promise<void>): Command {
  const command = new Command("distill").description(
    "distil a teacher into a student; by default the script, number for number",
  );
  addLoading(addTraining(addNumbers(command, distillationSchema), "runs/distill"))
    .option("--teacher <file>", "the teacher's weights, .pth or .safetensors (default: drawn from the seed)")
    .option("--teacher-cache", "ask the teacher once for each example (default: where that is exact)")
    .option("--no-teacher-cache", "ask the teacher at each step")
    .option("--teacher-mode <mode>", "train or eval (default: train for synthetic data, as the script, else eval)");
  return command.action((flags: DistillFlags) => run(flags));
}

/** Distils, prints an epoch a line, and says where the student is. */
export async function runDistill(flags: DistillFlags): Promise<void> {
  const isSynthetic = flags.data === "synthetic";
  const byData = {
    shuffle: !isSynthetic,
    ...(isSynthetic && flags.teacherMode === undefined ? { teacherMode: "train" } : {}),
  };
  const options = optionsFrom(distillationSchema, flags, byData);
  if (!isSynthetic && flags.teacher === undefined) {
    throw new UsageError(`--teacher: needed with --data ${flags.data}; \`distillery train-teacher\` makes one`);
  }
  const { source, seed } = await setUp(flags);
  const teacher = flags.teacher === undefined ? new TeacherNet(source.sizes) : await readNetwork(flags.teacher, flags);
  if (flags.teacher !== undefined) expectFits(flags.teacher, teacher, source, flags.data);
  const student = new StudentNet(source.sizes);
  const printer = await Printer.open(flags, "KD Loss", options.epochs);
  try {
    const { history, files } = await interruptible(printer.note, (signal) =>
      distill({
        ...options,
        teacher: teacher.freeze(),
        student,
        data: source.train(),
        ...controlsFrom(flags),
        about: { seed },
        ...(flags.teacherCache !== undefined && { teacherCache: flags.teacherCache }),
        signal,
        ...printer.controls,
      }),
    );
    const evaluation = source.test && evaluate(student, source.test, { teacher });
    const lines = [`Student saved to ${files[0]}`];
    if (evaluation !== null) {
      const { accuracy, teacherAccuracy = 0, agreement = 0 } = evaluation;
      lines.push(
        `Test accuracy: student ${percent(accuracy)}, teacher ${percent(teacherAccuracy)}, agreement ${percent(agreement)}`,
      );
    }
    printer.end({ loss: history.at(-1)?.loss, files, evaluation }, lines);
  } finally {
    printer.close();
  }
}
