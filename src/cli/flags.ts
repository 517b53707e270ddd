import { type Command, Option } from "commander";
import { getDefault } from "valibot";
import type { LoadOptions, ReadOptions } from "../checkpoint/index.js";
import { atHome } from "../registry/schema.js";
import { flagOf } from "./flag_names.js";
import { type Flag, GROUPS, NEGATED, NETWORK, OWN, RUNNING } from "./flag_table.js";
import { NONE } from "./flag_values.js";
import { printError } from "./terminal.js";

/** How a command shows its work; not part of a configuration. */
export interface ShowFlags {
  json?: boolean;
  quiet?: boolean;
  debug?: boolean;
}

/** Flags of a training command besides its configuration. */
export interface TrainingFlags extends ShowFlags {
  config?: string;
  resume?: boolean;
  overwrite?: boolean;
  dryRun?: boolean;
}

/** How a file of weights is read. */
export interface LoadFlags {
  key?: string;
  stripPrefix?: string;
  allowNonFinite?: boolean;
  quiet?: boolean;
}

/** Those of {@link LoadFlags} that are about the file. */
export const READING_FLAGS: readonly (keyof LoadFlags)[] = ["key", "stripPrefix", "allowNonFinite"];
const READING = "Reading weights:";

interface Fields {
  readonly entries: Readonly<Record<string, Parameters<typeof getDefault>[0]>>;
}

/**
 * Adds a flag with its default for each option of a schema; `own` has the texts and values that are specific to a
 * command.
 */
export function addOptions(
  command: Command,
  { entries }: Fields,
  own: Readonly<Record<string, string | Flag>>,
): Command {
  for (const [group, flags] of Object.entries(GROUPS)) {
    for (const [name, usualFlag] of Object.entries(flags)) {
      const field = Object.hasOwn(entries, name) ? entries[name] : undefined;
      if (field === undefined) continue;
      const given = own[name];
      const [value, text, parse] = typeof given === "object" ? given : usualFlag;
      const usual = getDefault(field);
      const option = (form: string, description: string) => {
        const one = new Option(form, description).helpGroup(group);
        command.addOption(parse === undefined ? one : one.argParser(parse));
      };
      const isShown = typeof usual === "string" || typeof usual === "number" || Array.isArray(usual);
      const full = typeof given === "string" ? given : isShown ? `${text} (default: ${usual})` : text;
      if (usual !== true) option(`${flagOf(name)} ${value}`.trim(), full);
      const negated = NEGATED[name];
      if (negated !== undefined) option(flagOf(name, false), negated);
    }
  }
  return command;
}

/** Adds the flags that say how a command shows its work. */
export function addShowing(command: Command, json = "print JSON lines"): Command {
  return addGroup(command, RUNNING, { "--json": json, "--debug": "print the stack trace of a failure" });
}

/** Adds the flags of a training command besides its configuration. */
export function addRunning(
  command: Command,
  resume = "resume from the checkpoint in --out; with more --epochs also a finished run",
): Command {
  addGroup(command, RUNNING, {
    "--config <file>": "options from a .json or .yaml file; flags take precedence",
    "--resume": resume,
    "--overwrite": "replace a run of other options in --out",
    "--dry-run": "say what would be trained, and what it takes; write nothing",
    "--quiet": "print nothing but failures",
  });
  return addShowing(command);
}

function addGroup(command: Command, group: string, flags: Readonly<Record<string, string>>): Command {
  for (const [form, text] of Object.entries(flags)) command.addOption(new Option(form, text).helpGroup(group));
  return command;
}

/** Adds the flags of a command that reads weights. */
export function addLoading(command: Command): Command {
  return addGroup(addPart(command), READING, { "--allow-non-finite": "accept weights that are NaN or infinite" });
}

/** Adds the flags that select the tensors of a file. */
export function addPart(command: Command): Command {
  return addGroup(command, READING, {
    "--key <name>": "key of the state dict in a checkpoint that holds several, such as model",
    "--strip-prefix <text>":
      "take this off the keys (default: module., _orig_mod., model., encoder., ema. and the like where all have it)",
  });
}

/** Adds the flag that names the network of a file. */
export function addNetwork(command: Command, flag = "--network"): Command {
  const text = `network of a .pth file, or a class of your own: "mlp(hidden=[64])", ${OWN} (default: what the file says)`;
  return addGroup(command, READING, { [`${flag} ${NETWORK}`]: text });
}

/** The same as options of the library. */
export function loadOptions(flags: LoadFlags): LoadOptions {
  return { ...partOptions(flags), allowNonFinite: flags.allowNonFinite ?? false };
}

/** Which tensors of a file to read; notes about what was left out are printed to standard error. */
export function partOptions({ key, stripPrefix, quiet = false }: Omit<LoadFlags, "allowNonFinite">): ReadOptions {
  return { key, stripPrefix, onNote: quiet ? undefined : printError };
}

/** The flags that were given on the command line, without defaults. */
export function givenFlags(command: Command): Record<string, unknown> {
  const files = command.options.filter(({ flags }) => /[<[](file|out|folder)[>\]]/.test(flags));
  const isFile = new Set(files.map((option) => option.attributeName()));
  const given = Object.entries(command.opts()).filter(([name]) => command.getOptionValueSource(name) === "cli");
  // Shells do not expand `~` after `=`.
  const meant = (name: string, value: unknown) => (isFile.has(name) ? atHome(value) : value === NONE ? null : value);
  return Object.fromEntries(given.map(([name, value]) => [name, meant(name, value)]));
}
