import { type Command, Option } from "commander";
import type { InferOutput } from "valibot";
import type { LoadOptions } from "../checkpoint/index.js";
import { expectInteger } from "../checks.js";
import { DEFAULT_LOG_FILE } from "../log/index.js";
import type { RunControls } from "../train/index.js";
import { defaultOf, type OptionsSchema, readOptions } from "../train/options.js";
import { UsageError } from "./errors.js";

/** What every command takes. */
export interface CommonFlags {
  data: string;
  seed: string;
  threads?: string;
  json?: boolean;
  debug?: boolean;
  logFile?: string | true;
}

/** What both training commands take beside the numbers of training. */
export interface TrainingFlags extends CommonFlags {
  out: string;
  resume?: boolean;
  quiet?: boolean;
  checkpointEvery?: string;
  keepCheckpoints?: string;
}

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  epochs: "passes over the training data",
  batchSize: "examples a step",
  lr: "highest learning rate of the cycle",
  weightDecay: "AdamW's decoupled weight decay",
  temperature: "divides both networks' logits",
  alpha: "weight of the teacher's soft targets, from 0 to 1",
  pctStart: "share of the cycle in which the learning rate rises",
  divFactor: "the cycle starts at lr divided by this",
  finalDivFactor: "and ends at its start divided by this",
  maxGradNorm: "the gradient is scaled down to this norm",
};

/** Adds a flag for each number of a schema, with its default. */
export function addNumbers(command: Command, schema: OptionsSchema): Command {
  for (const [name, description] of Object.entries(DESCRIPTIONS)) {
    const value = defaultOf(schema, name);
    if (value === null) continue;
    const text = `${description} (default: ${value})`;
    command.addOption(new Option(`${flagOf(name)} <number>`, text));
  }
  return command;
}

/** Adds the flags that every command takes. */
export function addCommon(command: Command): Command {
  return command
    .option("--data <name>", "synthetic, fashion-mnist, mnist, or a folder with the four IDX files", "synthetic")
    .option("--seed <number>", "of the random stream", "0")
    .option("--threads <number>", "for the arithmetic (default: the cores)")
    .option("--json", "print JSON lines")
    .option("--debug", "print the stack trace of a failure");
}

/** How a file of weights is read. */
export interface LoadFlags {
  key?: string;
  allowNonFinite?: boolean;
}

/** Adds the flags of a command that reads weights. */
export function addLoading(command: Command): Command {
  return command
    .option("--key <name>", "of a checkpoint that holds more: where its weights stand, such as model")
    .option("--allow-non-finite", "take weights that are NaN or infinite");
}

/** The library's form of them. */
export function loadOptions({ key, allowNonFinite = false }: LoadFlags): LoadOptions {
  return { allowNonFinite, ...(key !== undefined && { key }) };
}

/** Adds the flags that both training commands take. */
export function addTraining(command: Command, out: string): Command {
  return addCommon(command)
    .option("--out <folder>", "for checkpoints, metrics and weights", out)
    .option("--resume", "go on with the run in that folder")
    .option("--checkpoint-every <n>", "epochs between checkpoints, or 100steps (default: 1, but at most one a second)")
    .option("--keep-checkpoints <n>", "how many, the newest included (default: 2)")
    .option("--log-file [file]", `send everything printed to a file too (default: ${DEFAULT_LOG_FILE})`)
    .option("--quiet", "print nothing but failures");
}

/** The options of a schema out of a command's flags; a mistake is told under the flag's name. */
export function optionsFrom<S extends OptionsSchema>(schema: S, flags: object, more: object = {}): InferOutput<S> {
  const given = Object.entries(flags).filter(([name]) => name in schema.entries);
  const values = given.map(([name, text]) => [name, name in DESCRIPTIONS ? toNumber(text as string) : text]);
  try {
    return readOptions(schema, { ...Object.fromEntries(values), ...more }, flagOf);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** A whole number from a flag. */
export function wholeFrom(flag: string, text: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  try {
    return expectInteger(flag, toNumber(text), least, most);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** What a training command's flags say of its folder. */
export function controlsFrom({ out, resume = false, checkpointEvery, keepCheckpoints }: TrainingFlags): RunControls {
  const every = checkpointEvery?.replace(/ ?steps?$/, "");
  const number = every === undefined ? null : wholeFrom("--checkpoint-every", every, 1);
  return {
    out,
    resume,
    ...(number !== null && { checkpointEvery: every === checkpointEvery ? number : { steps: number } }),
    ...(keepCheckpoints !== undefined && { keepCheckpoints: wholeFrom("--keep-checkpoints", keepCheckpoints, 1) }),
  };
}

/** A number, or the text where it is none. */
function toNumber(text: string): number | string {
  return text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);
}

function flagOf(option: string): string {
  return `--${option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
