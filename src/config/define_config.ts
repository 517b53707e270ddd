import type * as v from "valibot";
import { parse } from "valibot";
import { expectObject, expectOneOf, isOneOf } from "../checks.js";
import { VALIDATION_FRACTION } from "../compare/options.js";
import { DistilleryError } from "../errors.js";
import { type Issue, issuesOf, moduleHashes, type ObjectSchema } from "../registry/index.js";
import { type TeacherOptions, teacherSchema } from "../teachers/options.js";
import type { RunControls } from "../train/index.js";
import {
  distillationSchema,
  type ResolvedDistillation,
  type ResolvedTraining,
  trainingSchema,
} from "../train/options.js";
import { without } from "../without.js";
import { rulesBroken } from "./rules.js";
import {
  AVERAGE_OPTIONS,
  type ConfigName,
  type ConfigOf,
  DATA_OPTIONS,
  EXPRESSION_OPTIONS,
  OUTPUT_OPTIONS,
  SCHEMAS,
} from "./schemas.js";

/** What an option is called in errors: `augment.shift`, or `--augment shift`. */
type NameOf = (path: readonly string[]) => string;
const dotted: NameOf = (path) => path.join(".");

/** A configuration with all defaults. */
export type ResolvedConfig<C extends ConfigName> = v.InferOutput<(typeof SCHEMAS)[C]> & {
  // Their defaults depend on the data.
  shuffle: boolean;
  validation: number;
} & (C extends "distill" ? { teacherMode: "train" | "eval" } : unknown);

/**
 * Checks the configuration of a command and adds the defaults. With synthetic data the defaults are those of the
 * reference script: no shuffling, a teacher in train mode, no validation set.
 *
 * @param command such as `"distill"`.
 * @param config the options, each of which may be left out unless its type requires it.
 * @returns all options of the command with their values.
 *
 * @throws DistilleryError `BAD_CONFIG` that lists every mistake with its path, and the nearest name for an unknown one.
 * @example
 * ```ts
 * const config = defineConfig("distill", { data: "fashion-mnist", teacher: "teacher.pth", epochs: 12 });
 * config.batchSize; // 64
 * ```
 */
export function defineConfig<C extends ConfigName>(command: C, config: ConfigOf<C>): ResolvedConfig<C> {
  expectOneOf("command", command, Object.keys(SCHEMAS));
  return resolveConfig(command, config);
}

/** As `defineConfig`; `nameOf` says what options are called in errors. */
export function resolveConfig<C extends ConfigName>(
  command: C,
  config: ConfigOf<C>,
  nameOf: NameOf = dotted,
): ResolvedConfig<C> {
  const schema = SCHEMAS[command];
  const checked = parseOptions(schema, config, nameOf);
  const resolved = { ...defaultsByData(schema.entries, config), ...checked } as ResolvedConfig<C>;
  const broken = rulesBroken(resolved, config);
  if (broken.length > 0) throw badOptions(broken, nameOf);
  return resolved;
}

/** The options of a schema with its defaults; `BAD_CONFIG` that lists every mistake. */
export function parseOptions<S extends ObjectSchema>(
  schema: S,
  options: unknown,
  nameOf: NameOf = dotted,
): v.InferOutput<S> {
  const issues = issuesOf(schema, options);
  if (issues.length > 0) throw badOptions(issues, nameOf);
  return parse(schema, options);
}

/**
 * The options of a configuration that every training run takes, such as `epochs`, `lr` and `seed`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no object.
 * @example
 * ```ts
 * const config = await readConfig("train-teacher", "teacher.yaml");
 * await trainTeacher({ model, data, ...trainingOptions(config) });
 * ```
 */
export function trainingOptions(config: ResolvedConfig<ConfigName>): ResolvedTraining {
  expectObject("config", config);
  return pick(config, (name) => Object.hasOwn(trainingSchema.entries, name)) as ResolvedTraining;
}

/**
 * The options of a configuration that only `distill` takes, such as `loss` and `teacherMode`; {@link trainingOptions}
 * gives the others.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no object.
 * @example
 * ```ts
 * const config = await readConfig("distill", "distill.yaml");
 * await distill({ teacher, student, data, ...trainingOptions(config), ...distillationOptions(config) });
 * ```
 */
export function distillationOptions(config: ResolvedConfig<"distill">): ResolvedDistillation & { loss?: string } {
  expectObject("config", config);
  const options = pick(config, (name) => Object.hasOwn(distillationSchema.entries, name));
  return { ...(options as ResolvedDistillation), loss: config.loss };
}

/** The options of a configuration that `openTeacher` takes. */
export function teacherOptions(config: TeacherOptions): TeacherOptions {
  return pick(config, (name) => Object.hasOwn(teacherSchema.entries, name));
}

/**
 * What `config.json` keeps beside the options: what decides the data and networks, which a resumed run must have too
 * (of modules of the user's own the hashes of their files), and under `userOptions` the options as the user wrote them,
 * so that the file can configure another run.
 */
export async function runMetadata(
  config: Partial<ResolvedConfig<ConfigName>>,
  userOptions: ConfigOf<ConfigName>,
): Promise<NonNullable<RunControls["metadata"]>> {
  const isExpression = (name: string) => isOneOf(EXPRESSION_OPTIONS, name);
  const isNetwork = (name: string) => name === "student" || name === "teacherNetwork";
  const isDeciding = (name: string) => DATA_OPTIONS.has(name) || isNetwork(name) || isOneOf(AVERAGE_OPTIONS, name);
  const deciding = without(pick(config, isDeciding), ["data", "threads", "forceThreads"]);
  const expressions = Object.values(pick(config, isExpression))
    .flat()
    .filter((value) => typeof value === "string");
  const modules = await moduleHashes(expressions);
  return {
    ...deciding,
    ...(Object.keys(modules).length > 0 && { modules }),
    userOptions: pick(userOptions, (name) => !OUTPUT_OPTIONS.has(name)),
  };
}

function pick(config: object, isPicked: (name: string) => boolean): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).filter(([name]) => isPicked(name)));
}

function defaultsByData(entries: Readonly<Record<string, unknown>>, { data = "synthetic" }: { data?: string }): object {
  const isSynthetic = data === "synthetic";
  const teacherMode = isSynthetic ? "train" : "eval";
  return {
    shuffle: !isSynthetic,
    validation: isSynthetic ? 0 : VALIDATION_FRACTION,
    ...("teacherMode" in entries && { teacherMode }),
  };
}

function badOptions(issues: readonly Issue[], nameOf: NameOf): DistilleryError {
  return new DistilleryError("BAD_CONFIG", issues.map((issue) => formatIssue(issue, nameOf)).join("; "));
}

/** An issue as a line: the option's name and what is wrong. */
export function formatIssue({ path, text }: Issue, nameOf: NameOf = dotted): string {
  return path.length === 0 ? text : `${nameOf(path)}: ${text}`;
}
