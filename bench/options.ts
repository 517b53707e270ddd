import { Command, CommanderError, Option } from "commander";

/** What the command line of `npm run bench` says. */
export interface BenchOptions {
  readonly quick: boolean;
  readonly peers: boolean;
  /** null for the library's default, the cores. */
  readonly threads: number | null;
  /** A file for the JSON; true for standard output, in place of the tables; null for none. */
  readonly json: string | true | null;
  /** The folder for the charts. */
  readonly draw: string | null;
  /** Steps to make while memory is watched, in place of the measurements. */
  readonly soak: number | null;
  /** A commit to compare with, in place of the measurements. */
  readonly against: string | null;
}

/** How the reading of a command line ended without options: with the help, or with a mistake. */
export class NoOptions extends Error {
  constructor(
    message: string,
    readonly exitCode: 0 | 2,
  ) {
    super(message);
  }
}

/** Reads the arguments; throws {@link NoOptions} with the help text, or the mistake if one is unknown or invalid. */
export function readOptions(args: readonly string[]): BenchOptions {
  const command = benchCommand();
  try {
    command.parse([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) throw new NoOptions(command.helpInformation().trimEnd(), 0);
    throw new NoOptions(`${error.message.replace(/^error: /, "")}\n\n${command.helpInformation().trimEnd()}`, 2);
  }
  const { quick = false, peers = false, threads, json, draw, soak, against } = command.opts<Given>();
  return {
    quick,
    peers,
    threads: whole("--threads", threads),
    json: json ?? null,
    draw: draw ?? null,
    soak: whole("--soak", soak),
    against: against ?? null,
  };
}

interface Given {
  quick?: boolean;
  peers?: boolean;
  threads?: string;
  json?: string | true;
  draw?: string;
  soak?: string;
  against?: string;
}

function benchCommand(): Command {
  return new Command("npm run bench --")
    .description("how fast the library is: by kernel, by step, as a whole, and beside its peers")
    .option("--quick", "under a minute, with more noise")
    .option("--threads <number>", "threads of the kernels (default: the cores)")
    .option("--json [file]", "write JSON to a file; without one, print it in place of the tables")
    .option("--draw <folder>", "draw roofline.svg and scaling.svg there")
    .option("--peers", "PyTorch ($DISTILLERY_PYTHON or python3) and TensorFlow.js beside it, if they are found")
    .addOption(
      new Option("--soak <steps>", "only run this many steps of the script and print the memory in use").conflicts([
        "quick",
        "json",
        "draw",
        "peers",
      ]),
    )
    .addOption(
      new Option("--against <commit>", "only build another commit and compare with it, in turns").conflicts([
        "peers",
        "draw",
        "soak",
      ]),
    )
    .helpOption("--help", "this text")
    .allowExcessArguments(false)
    .configureOutput({ writeOut: () => {}, writeErr: () => {} })
    .exitOverride();
}

function whole(flag: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(value) && value > 0) return value;
  throw new NoOptions(`${flag}: expected a whole number of at least 1, got ${JSON.stringify(text)}`, 2);
}
