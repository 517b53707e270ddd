import { readFileSync } from "node:fs";
import { Command } from "commander";
import { withLogFile } from "../log/index.js";
import { distillCommand, runDistill } from "./distill.js";
import { reportFailure } from "./errors.js";
import { evaluateCommand, runEvaluate } from "./evaluate.js";
import { exportCommand, runExport } from "./export.js";
import type { CommonFlags } from "./flags.js";
import { inspectCommand, runInspect } from "./inspect.js";
import { runTrainTeacher, trainTeacherCommand } from "./train_teacher.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

/** Runs a command's body; its failure is printed here, inside the log file where there is one. */
function guarded<F extends Pick<CommonFlags, "debug" | "logFile">>(
  body: (flags: F) => Promise<void>,
): (flags: F) => Promise<void> {
  const reported = async (flags: F) => {
    try {
      await body(flags);
    } catch (error) {
      process.exitCode = reportFailure(error, flags.debug ?? false);
    }
  };
  return async (flags) => {
    const { logFile } = flags;
    if (logFile === undefined) return reported(flags);
    try {
      await withLogFile(() => reported(flags), logFile === true ? undefined : logFile);
    } catch (error) {
      process.exitCode = reportFailure(error, flags.debug ?? false);
    }
  };
}

// A reader that goes away, as `| head` does, is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

const program = new Command("distillery")
  .description("Knowledge distillation: train a teacher, distil it into a small student, prove that it helped")
  .version(version)
  .addCommand(distillCommand(guarded(runDistill)))
  .addCommand(trainTeacherCommand(guarded(runTrainTeacher)))
  .addCommand(evaluateCommand(guarded(runEvaluate)))
  .addCommand(inspectCommand(guarded(runInspect)))
  .addCommand(exportCommand(guarded(runExport)));
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
