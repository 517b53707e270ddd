import { Command } from "commander";
import { show } from "../checks.js";
import { MANIFEST } from "../package.js";
import { expectEnd, reportFailure, UsageError, unknownName } from "./error_boundary.js";
import { toList } from "./flag_values.js";
import { explained, wrapped, writeError, writeOutput } from "./terminal.js";
import { refuseRanks } from "./with_ranks.js";

const EXIT_CODES =
  "Exit codes: 0 done; 1 failed; 2 wrong usage; 78 a mistake in a configuration file, or other options than those of the run in --out; 75 stopped by SIGTERM or SIGUSR1, 130 by Ctrl-C or SIGHUP, with the checkpoint saved: run it again with --resume.";

/** In the order of the help. Each command is loaded alone, so that it starts without what only the others need. */
const COMMANDS: Readonly<Record<string, () => Promise<{ makeCommand(): Command }>>> = {
  distill: () => import("./distill.js"),
  "train-teacher": () => import("./train_teacher.js"),
  mutual: () => import("./mutual.js"),
  compare: () => import("./compare.js"),
  sweep: () => import("./sweep.js"),
  logits: () => import("./logits.js"),
  evaluate: () => import("./evaluate.js"),
  predict: () => import("./predict.js"),
  inspect: () => import("./inspect.js"),
  export: () => import("./export.js"),
  list: () => import("./list.js"),
  serve: () => import("./serve.js"),
  watch: () => import("./watch.js"),
  data: () => import("./data.js"),
};

/** Runs the command in `process.argv`. A failure is printed, and sets the exit code. */
export async function run(): Promise<void> {
  const onEnd = expectEnd();
  try {
    const requested = process.argv[2] ?? "";
    const program = await (Object.hasOwn(COMMANDS, requested) ? programOf([requested]) : wholeProgram());
    await program.parseAsync();
  } catch (error) {
    reportFailure(error, process.argv.includes("--debug"));
  } finally {
    onEnd();
  }
}

/** The program with all commands, for its help. */
export function wholeProgram(): Promise<Command> {
  return programOf(Object.keys(COMMANDS));
}

async function programOf(names: readonly string[]): Promise<Command> {
  const program = new Command("distillery")
    .description("Knowledge distillation: train a teacher, distil it into a small student, prove that it helped")
    .version(MANIFEST.version)
    .addHelpText("after", () => `\n${wrapped(EXIT_CODES, process.stdout.columns || 80)}`);
  for (const name of names) {
    const file = await COMMANDS[name]();
    program.addCommand(file.makeCommand());
  }
  program.hook("preAction", (_, command) => refuseRanks(command.name()));
  for (const command of [program, ...program.commands]) {
    refuseRepeated(command);
    command.configureHelp({
      formatItem: (term, width, text, { helpWidth = 80 }) => explained(`  ${term}`, text, width + 4, helpWidth),
    });
    command.exitOverride().configureOutput({
      writeOut: writeOutput,
      writeErr: writeError,
      outputError: (text, write) => {
        const problem =
          (text.startsWith("error: too many arguments") ? excess(command) : valueGlued(command, text)) ??
          unlikeAny(text) ??
          text
            .replace(/^error: /, "")
            .trim()
            .replaceAll(/\s*\n\s*/g, " ");
        write(`distillery: ${problem} (BAD_ARGUMENT); see --help\n`);
      },
    });
  }
  return program;
}

/** The error for an argument too many, which may be the value of a flag that takes none. */
function excess(command: Command): string {
  const { args, options, registeredArguments } = command;
  const count = registeredArguments.length;
  const value = args[count];
  const flag = process.argv[process.argv.lastIndexOf(value) - 1];
  if (!options.some((option) => option.long === flag && option.isBoolean())) {
    return `unexpected argument ${show(value)}: ${command.name()} takes ${count === 0 ? "options alone" : `${count} argument`}`;
  }
  const isOfCompare = flag === "--calibrate-teacher" && value === "both";
  return `${flag}: takes no value, got ${show(value)}${isOfCompare ? ", which compare alone takes" : ""}`;
}

/** The error for a flag that takes no value and has one after `=`, which makes it unknown; null if there is none. */
function valueGlued({ options }: Command, text: string): string | null {
  const [, flag, value] = /^error: unknown option '(--[\w-]+)=(.*)'/s.exec(text) ?? [];
  const isKnown = options.some((option) => option.long === flag && option.isBoolean());
  return isKnown ? `${flag}: takes no value, got ${show(value)}` : null;
}

/** The error for a command whose name is like no other; null for another error. */
function unlikeAny(text: string): string | null {
  const [, name] = /^error: unknown command '([^']*)'\s*$/.exec(text) ?? [];
  return name === undefined ? null : unknownName("command", name, Object.keys(COMMANDS));
}

/** Refuses a repeated flag, which would replace the first one, unless the flag collects a list. */
function refuseRepeated(command: Command): void {
  const given = new Map<string, string>();
  for (const option of command.options.filter(({ parseArg }) => parseArg !== toList)) {
    command.on(`option:${option.name()}`, () => {
      const [name, flag] = [option.attributeName(), option.long ?? option.flags];
      const before = given.get(name);
      given.set(name, flag);
      if (before === undefined) return;
      throw new UsageError(before === flag ? `${flag}: given twice: give it once` : `${flag}: given with ${before}`);
    });
  }
}
