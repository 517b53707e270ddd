import { extname, relative, resolve } from "node:path";
import type { InferOutput } from "valibot";
import { isFileOfRun, isInReplacedRun, STUDENT_FILE, weightsOf } from "../checkpoint/index.js";
import {
  type ConfigName,
  type ConfigOf,
  type dataSchema,
  type evaluateSchema,
  parseOptions,
  type ResolvedConfig,
  readUserOptions,
  resolveConfig,
  SCHEMAS,
  type serveSchema,
} from "../config/index.js";
import { detectFormat } from "../data/formats/index.js";
import { DATASET_NAMES } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import { kindOf } from "../files/index.js";
import { DEFAULT_LOG_FILE, logged } from "../log/index.js";
import { isSilentRank } from "../mpi.js";
import { numCores } from "../threads.js";
import { EXIT, errorBoundary, UsageError } from "./error_boundary.js";
import { flagOf } from "./flag_names.js";
import { READING_FLAGS, type ShowFlags } from "./flags.js";
import { printError } from "./terminal.js";

/** A command's resolved settings. */
export interface Settings<C extends ConfigName> {
  config: ResolvedConfig<C>;
  /**
   * The options of the configuration file and the flags, without defaults; `config.json` keeps them to configure
   * another run.
   */
  userOptions: ConfigOf<C>;
}

/**
 * Wraps a command's body in an error boundary. Its configuration is read and checked first; if it has a log file, the
 * output is also written there.
 */
export function configured<C extends ConfigName, F extends ShowFlags>(
  command: C,
  body: (settings: Settings<C>, flags: F) => Promise<unknown>,
): (flags: F) => Promise<void> {
  return errorBoundary(async (flags) => {
    const given = { ...flags } as Record<string, unknown>;
    const settings = await settingsOf(command, given);
    if (given.resume === true && given.overwrite === true) {
      throw new UsageError("--overwrite: --resume continues the run that it would replace: give one of the two");
    }
    expectOutputs(settings.config, given.config as string | undefined);
    expectReading(settings.config, given);
    if (given.overwrite === true) expectKept(command, settings.config);
    const run = errorBoundary<F>(async (flags) => void (await body(settings, flags)));
    const { logFile } = settings.config;
    // Only the first of several ranks prints. A dry run writes nothing.
    if (logFile === false || isSilentRank() || given.dryRun === true) return run(flags);
    const file = logFile === true ? DEFAULT_LOG_FILE : logFile;
    await logged(() => run(flags), file, { onFailure: logFailed, isKept: given.resume === true });
  });
}

/** A log that can't be written does not stop the work, but the command has failed. */
function logFailed({ message, code }: DistilleryError): void {
  process.exitCode ??= EXIT.failed;
  printError(`distillery: ${message}: the log ends here (${code})`);
}

/** A command's configuration, from its file if one is given; flags take precedence. */
async function settingsOf<C extends ConfigName>(
  command: C,
  flags: Readonly<Record<string, unknown>>,
): Promise<Settings<C>> {
  const fromFile = typeof flags.config === "string" ? await readUserOptions(command, flags.config) : {};
  const userOptions: ConfigOf<C> = { ...fromFile, ...only(SCHEMAS[command].entries, flags) };
  const settings = await afterData(userOptions, () => settingsFrom(command, userOptions));
  sayCap(userOptions, settings.config, flags);
  return settings;
}

/** A missing data file is reported first; the options beside it are checked once it exists. */
async function afterData<T>({ data, teacher }: { data?: unknown; teacher?: unknown }, body: () => T): Promise<T> {
  try {
    return body();
  } catch (error) {
    const isFile = teacher === undefined && typeof data === "string" && extname(data) !== "" && !data.startsWith("~");
    if (isFile && (await kindOf(data)) === null) await detectFormat(data, DATASET_NAMES);
    throw error;
  }
}

/** A command's configuration from the user's options. */
export function settingsFrom<C extends ConfigName>(command: C, userOptions: ConfigOf<C>): Settings<C> {
  return { config: cappedThreads(byFlags(() => resolveConfig(command, userOptions, nameOf))), userOptions };
}

/** Options that determine the samples. */
export type DataOptions = InferOutput<typeof dataSchema>;

/** The flags that are options of a schema, for a command without a configuration. */
export function optionsOf<S extends typeof dataSchema | typeof evaluateSchema | typeof serveSchema>(
  schema: S,
  flags: Readonly<Record<string, unknown>>,
): InferOutput<S> {
  const given = only(schema.entries, flags);
  const options = cappedThreads<InferOutput<S>>(byFlags(() => parseOptions(schema, given, nameOf)));
  const { data = "synthetic", seed } = given as { data?: string; seed?: number };
  if (seed !== undefined && data !== "synthetic") {
    throw new UsageError("--seed: nothing is drawn with data that are read: leave it out");
  }
  sayCap(given, options, flags);
  return options;
}

interface Threads {
  threads?: number | undefined;
  forceThreads?: boolean | undefined;
}

/** Refuses more threads than cores unless forced: they make a run slower, with the same bits. */
function cappedThreads<O extends Threads>(options: O): O {
  const { threads = 1, forceThreads = false } = options;
  if (forceThreads && options.threads === undefined) {
    throw new UsageError("--force-threads: is for more --threads than cores: give these too, or leave it out");
  }
  return threads <= numCores() || forceThreads ? options : { ...options, threads: numCores() };
}

function sayCap({ threads }: Threads, { threads: used }: Threads, { quiet }: ShowFlags): void {
  if (quiet) return;
  const [cores, preset] = [numCores(), Number(process.env.DISTILLERY_THREADS ?? 0)];
  const capped = (wanted: number | undefined) =>
    `${wanted} on ${cores === 1 ? "1 core would be slower: 1 is" : `${cores} cores would be slower: ${cores} are`} used`;
  if (threads !== used) printError(`--threads: ${capped(threads)} (--force-threads: all)`);
  else if (threads === undefined && preset > cores) printError(`DISTILLERY_THREADS: ${capped(preset)}`);
}

/** Those of the flags that are in `entries`. */
export function only(entries: object, flags: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(flags).filter(([name]) => Object.hasOwn(entries, name)));
}

/** `--augment shift` for `augment.shift`, `--seeds` for `seeds.1`. */
function nameOf([option = "", ...rest]: readonly string[]): string {
  return [flagOf(option), ...rest.filter((name) => name !== "steps" && !/^\d+$/.test(name))].join(" ");
}

/** Turns mistakes in options into usage errors. */
function byFlags<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof DistilleryError) || error.code !== "BAD_CONFIG") throw error;
    throw new UsageError(error.message);
  }
}

/** The options of a command that name an input file. */
const INPUTS = ["data", "teacher", "from"] as const;

type Paths = Partial<Record<(typeof INPUTS)[number], string | readonly string[] | undefined>> & {
  out: string;
  csv?: string | boolean;
  logFile: string | boolean;
};

/** Refuses flags that say how weights are read if no weights are. */
function expectReading({ teacher, from }: Paths, flags: Readonly<Record<string, unknown>>): void {
  const name = READING_FLAGS.find((flag) => flags[flag] !== undefined);
  if (name === undefined || (teacher ?? from) !== undefined) return;
  throw new UsageError(`${flagOf(name)}: needs a file of weights (--teacher, --from)`);
}

/** The names of the weight files of a command's run. */
const OWN_WEIGHTS: Partial<Record<ConfigName, readonly string[]>> = {
  "train-teacher": ["teacher"],
  distill: [STUDENT_FILE],
};

/** Refuses inputs that `--overwrite` would remove before the run has ended. */
function expectKept(command: ConfigName, { teacher, from, out }: Paths): void {
  const own = weightsOf(OWN_WEIGHTS[command] ?? []);
  for (const [name, files] of Object.entries({ teacher, from })) {
    for (const file of [files ?? []].flat()) {
      if (isInReplacedRun(out, file) || own.test(relative(resolve(out), resolve(file)))) {
        throw new UsageError(`${flagOf(name)}: --overwrite removes ${file}, which lies in --out: copy it elsewhere`);
      }
    }
  }
}

/** Refuses a log file that is also a file of the run, an input, or another log. */
function expectOutputs(paths: Paths, configFile: string | undefined): void {
  const { out, csv = false, logFile } = paths;
  const read = new Map<string, string>();
  for (const name of INPUTS) for (const file of [paths[name] ?? []].flat()) read.set(resolve(file), flagOf(name));
  if (configFile !== undefined) read.set(resolve(configFile), "--config");
  const written = Object.entries({ "--csv": csv, "--log-file": logFile === true ? DEFAULT_LOG_FILE : logFile });
  for (const [flag, file] of written) {
    if (typeof file !== "string") continue;
    const other = read.get(resolve(file));
    const user = isFileOfRun(file, out) ? "the run itself writes" : other && `${other} names`;
    if (user !== undefined) throw new UsageError(`${flag}: ${file} is the file that ${user}: give another name`);
    read.set(resolve(file), flag);
  }
}
