import { readFileSync } from "node:fs";
import { Command } from "commander";
import { compareCommand, runCompare } from "./compare.js";
import { dataCommand, runData } from "./data.js";
import { distillCommand, runDistill } from "./distill.js";
import { reportFailure } from "./errors.js";
import { evaluateCommand, runEvaluate } from "./evaluate.js";
import { exportCommand, runExport } from "./export.js";
import { configured, guarded } from "./guarded.js";
import { inspectCommand, runInspect } from "./inspect.js";
import { predictCommand, runPredict } from "./predict.js";
import { runSweep, sweepCommand } from "./sweep.js";
import { runTrainTeacher, trainTeacherCommand } from "./train_teacher.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

// A reader that goes away, as `| head` does, is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

const program = new Command("distillery")
  .description("Knowledge distillation: train a teacher, distil it into a small student, prove that it helped")
  .version(version)
  .addCommand(distillCommand(configured("distill", runDistill)))
  .addCommand(trainTeacherCommand(configured("train-teacher", runTrainTeacher)))
  .addCommand(compareCommand(configured("compare", runCompare)))
  .addCommand(sweepCommand(configured("sweep", runSweep)))
  .addCommand(evaluateCommand(guarded(runEvaluate)))
  .addCommand(predictCommand(guarded(runPredict)))
  .addCommand(inspectCommand(guarded(runInspect)))
  .addCommand(exportCommand(guarded(runExport)))
  .addCommand(dataCommand(guarded(runData)));
for (const command of [program, ...program.commands]) {
  command.exitOverride().configureOutput({
    outputError: (text, write) => {
      const problem = text
        .replace(/^error: /, "")
        .trim()
        .replaceAll(/\s*\n\s*/g, " ");
      write(`distillery: ${problem} (BAD_ARGUMENT); see --help\n`);
    },
  });
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error, process.argv.includes("--debug"));
}
