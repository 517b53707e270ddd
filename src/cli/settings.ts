import type { InferOutput } from "valibot";
import {
  type ConfigName,
  type ConfigOf,
  checkOptions,
  readGiven,
  SCHEMAS,
  type Settled,
  settle,
  sourceSchema,
} from "../config/index.js";
import { DistilleryError } from "../errors.js";
import { UsageError } from "./errors.js";
import { flagOf } from "./flags.js";

/** What a command runs with. */
export interface Settings<C extends ConfigName> {
  config: Settled<C>;
  /** Out of the file and the flags, without defaults: what `config.json` keeps to run it again. */
  given: ConfigOf<C>;
}

/** A command's configuration: out of its file where one is given, with the flags above it. */
export async function settingsOf<C extends ConfigName>(
  command: C,
  flags: Readonly<Record<string, unknown>>,
): Promise<Settings<C>> {
  const fromFile = typeof flags.config === "string" ? await readGiven(command, flags.config) : {};
  const given = { ...fromFile, ...only(SCHEMAS[command].entries, flags) } as ConfigOf<C>;
  return { config: byFlags(() => settle(command, given, nameOf)), given };
}

/** What the flags of a command without a configuration say of its data. */
export function sourceFrom(flags: Readonly<Record<string, unknown>>): InferOutput<typeof sourceSchema> {
  return byFlags(() => checkOptions(sourceSchema, only(sourceSchema.entries, flags), nameOf));
}

function only(entries: object, flags: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(flags).filter(([name]) => Object.hasOwn(entries, name)));
}

/** `--augment shift` of `augment.shift`. */
function nameOf([option = "", ...rest]: readonly string[]): string {
  return [flagOf(option), ...(rest[0] === "steps" ? [] : rest)].join(" ");
}

function byFlags<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof DistilleryError) || error.code !== "BAD_CONFIG") throw error;
    throw new UsageError(error.message);
  }
}
