import * as v from "valibot";
import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { type Issue, issuesOf, type ObjectSchema } from "../registry/index.js";
import { badConfig, readConfigText } from "./read_file.js";
import { rulesBroken } from "./rules.js";
import { type ConfigName, type ConfigOf, SCHEMAS } from "./schemas.js";

/** How a mistake's place is called. */
type NameOf = (path: readonly string[]) => string;
const dotted: NameOf = (path) => path.join(".");

/** A configuration with every default in its place. */
export type Settled<C extends ConfigName> = v.InferOutput<(typeof SCHEMAS)[C]> & {
  // Those that follow from the data where they are not given.
  shuffle: boolean;
  validation: number;
} & (C extends "distill" ? { teacherMode: "train" | "eval" } : unknown);

/**
 * Checks a configuration whole and puts the defaults in their places. With synthetic data those of the script: the
 * data's own order, a teacher in train mode, no validation.
 *
 * @throws DistilleryError `BAD_CONFIG` that lists every mistake with its path, and the nearest name where one is unknown.
 * @example
 * ```ts
 * const { epochs, temperature } = defineConfig("distill", { data: "fashion-mnist", teacher: "teacher.pth", epochs: 12 });
 * ```
 */
export function defineConfig<C extends ConfigName>(command: C, config: ConfigOf<C>): Settled<C> {
  if (!Object.hasOwn(SCHEMAS, command)) {
    const names = Object.keys(SCHEMAS).map((name) => show(name));
    throw new DistilleryError("BAD_ARGUMENT", `command: expected ${names.join(" or ")}, got ${show(command)}`);
  }
  return settle(command, config);
}

/** The same, with mistakes told under names of the caller's own. */
export function settle<C extends ConfigName>(command: C, config: ConfigOf<C>, nameOf: NameOf = dotted): Settled<C> {
  const schema = SCHEMAS[command];
  const checked = checkOptions(schema, config, nameOf);
  const settled = { ...byData(schema.entries, config), ...checked } as Settled<C>;
  const broken = rulesBroken(settled);
  if (broken.length > 0) throw listing(broken, nameOf);
  return settled;
}

/** The options of a schema with its defaults; `BAD_CONFIG` that lists every mistake. */
export function checkOptions<S extends ObjectSchema>(
  schema: S,
  options: unknown,
  nameOf: NameOf = dotted,
): v.InferOutput<S> {
  const problems = issuesOf(schema, options);
  if (problems.length > 0) throw listing(problems, nameOf);
  return v.parse(schema, options);
}

/**
 * Reads a configuration out of a `.json`, `.yaml` or `.yml` file, or out of the `config.json` that a run keeps; the
 * options of `more` go before the file's.
 *
 * @throws DistilleryError `BAD_CONFIG` that lists every mistake with its line and path; `NOT_FOUND`, `IO_ERROR`.
 * @example
 * ```ts
 * const config = await readConfig("distill", "fashion.yaml", { seed: 1 });
 * ```
 */
export async function readConfig<C extends ConfigName>(
  command: C,
  file: string,
  more: ConfigOf<C> = {},
): Promise<Settled<C>> {
  return defineConfig(command, { ...(await readGiven(command, file)), ...more });
}

/** What a file says, each option checked by itself: what else it needs may come from elsewhere. */
export async function readGiven<C extends ConfigName>(command: C, file: string): Promise<ConfigOf<C>> {
  const { value, lineOf } = await readConfigText(file);
  const prefix = isOfRun(value) ? ["given"] : [];
  const given = isOfRun(value) ? value.given : value;
  const problems = issuesOf(SCHEMAS[command], given);
  if (problems.length === 0) return given as ConfigOf<C>;
  const places = problems.map((problem) => ({ problem, line: lineOf([...prefix, ...problem.path]) }));
  places.sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
  const texts = places.map(({ problem, line }) => (line === null ? "" : `line ${line}: `) + told(problem, dotted));
  throw badConfig(file, texts.join("; "));
}

/** The `config.json` of a run keeps under `given` what it was given. */
function isOfRun(value: unknown): value is { given: unknown } {
  return typeof value === "object" && value !== null && "command" in value && "given" in value;
}

function byData(entries: Readonly<Record<string, unknown>>, { data = "synthetic" }: { data?: string }): object {
  const isSynthetic = data === "synthetic";
  const teacherMode = isSynthetic ? "train" : "eval";
  return {
    shuffle: !isSynthetic,
    validation: isSynthetic ? 0 : 0.1,
    ...("teacherMode" in entries && { teacherMode }),
  };
}

function listing(problems: readonly Issue[], nameOf: NameOf): DistilleryError {
  return new DistilleryError("BAD_CONFIG", problems.map((problem) => told(problem, nameOf)).join("; "));
}

function told({ path, text }: Issue, nameOf: NameOf): string {
  return path.length === 0 ? text : `${nameOf(path)}: ${text}`;
}
