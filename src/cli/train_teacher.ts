import { Command } from "commander";
import { TeacherNet } from "../models/teacher_net.js";
import { evaluate, trainTeacher } from "../train/index.js";
import { trainingSchema } from "../train/options.js";
import { addNumbers, addTraining, controlsFrom, optionsFrom, type TrainingFlags } from "./flags.js";
import { interruptible } from "./interrupt.js";
import { Printer, percent } from "./printer.js";
import { setUp } from "./setup.js";

/** `distillery train-teacher`. */
export function trainTeacherCommand(run: (flags: TrainingFlags) => Promise<void>): Command {
  const command = new Command("train-teacher").description("train the teacher on labelled data");
  return addTraining(addNumbers(command, trainingSchema), "runs/teacher").action((flags: TrainingFlags) => run(flags));
}

/** Trains, prints an epoch a line, and says where the teacher is. */
export async function runTrainTeacher(flags: TrainingFlags): Promise<void> {
  const options = optionsFrom(trainingSchema, flags, { shuffle: flags.data !== "synthetic" });
  const { source, seed } = await setUp(flags);
  const model = new TeacherNet(source.sizes);
  const printer = await Printer.open(flags, "Loss", options.epochs);
  try {
    const { history, files } = await interruptible(printer.note, (signal) =>
      trainTeacher({
        ...options,
        model,
        data: source.train(),
        ...controlsFrom(flags),
        about: { seed },
        signal,
        ...printer.controls,
      }),
    );
    const evaluation = source.test && evaluate(model, source.test);
    const lines = [`Teacher saved to ${files[0]}`];
    if (evaluation !== null) lines.push(`Test accuracy: teacher ${percent(evaluation.accuracy)}`);
    printer.end({ loss: history.at(-1)?.loss, files, evaluation }, lines);
  } finally {
    printer.close();
  }
}
