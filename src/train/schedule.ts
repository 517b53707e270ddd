import { createHash } from "node:crypto";
import type { Dataset } from "../data/dataset.js";
import { DataLoader } from "../data/loader.js";
import { DistilleryError } from "../errors.js";
import { SCHEDULES } from "../optim/index.js";
import type { LRScheduler } from "../optim/lr_scheduler.js";
import { type Schedule, warmup } from "../optim/schedules.js";
import { type Expression, formatExpression, type Issue, isModulePath, parseExpression } from "../registry/index.js";
import type { ResolvedTraining } from "./options.js";

/** Options of a run that are short forms of its schedule's: they are used if the expression leaves them out. */
export const SCHEDULE_OPTIONS = [
  "pctStart",
  "divFactor",
  "finalDivFactor",
  "stepSize",
  "gamma",
  "warmupSteps",
] as const;

/** The schedule options of a run. */
export type ScheduleOptions = Partial<Pick<ResolvedTraining, (typeof SCHEDULE_OPTIONS)[number]>>;

/** The schedule of a run with every option written out; `BAD_ARGUMENT` for options that it does not have. */
export function resolveSchedule(schedule: Expression | Schedule, options: ScheduleOptions): string | Schedule {
  const issue = scheduleIssue(schedule, options);
  if (issue !== null) throw new DistilleryError("BAD_ARGUMENT", `${issue.path.join(".")}: ${issue.text}`);
  const given = Object.fromEntries(givenOptions(options));
  if (typeof schedule === "function") {
    return given.warmupSteps === undefined ? schedule : warmup(given.warmupSteps, schedule);
  }
  const terms = parseExpression(schedule, "schedule").map((term) => {
    const byPosition = optionNames(term.name).slice(0, term.positional.length);
    const open = Object.entries(given).filter(([name]) => !byPosition.includes(name));
    return { ...term, args: { ...Object.fromEntries(open), ...term.args } };
  });
  return SCHEDULES.canonical(formatExpression(terms), { argument: "schedule" });
}

/** What is wrong with the first option that was given and that the schedule does not have; null if it has all. */
export function scheduleIssue(schedule: Expression | Schedule, options: ScheduleOptions): Issue | null {
  const [name, taken] = typeof schedule === "function" ? ["of your own", ["warmupSteps"]] : namedOptions(schedule);
  const foreign = givenOptions(options).find(([option]) => !taken.includes(option));
  if (foreign === undefined) return null;
  const known = taken.length === 0 ? "write it into the expression" : `it has ${taken.join(", ")}`;
  return { path: [foreign[0]], text: `the schedule ${name} has no such option: ${known}` };
}

function namedOptions(schedule: Expression): [name: string, options: readonly string[]] {
  const [{ name }] = parseExpression(schedule, "schedule");
  return [name, optionNames(name)];
}

function optionNames(name: string): readonly string[] {
  return isModulePath(name) ? [] : Object.keys(SCHEDULES.get(name, "schedule").options);
}

/** No steps of warm-up are none. */
function givenOptions(options: ScheduleOptions): [name: string, value: number][] {
  return SCHEDULE_OPTIONS.flatMap((name) => {
    const value = options[name];
    return value === undefined || (name === "warmupSteps" && value === 0) ? [] : [[name, value]];
  });
}

/** The other options: a resolved schedule has those of the schedule. */
export function withoutScheduleOptions<T extends ScheduleOptions>(options: T): Omit<T, keyof ScheduleOptions> {
  const isOther = ([name]: [string, unknown]) => !(SCHEDULE_OPTIONS as readonly string[]).includes(name);
  return Object.fromEntries(Object.entries(options).filter(isOther)) as Omit<T, keyof ScheduleOptions>;
}

/** A resolved schedule as `config.json` keeps it: its expression, or for a function the SHA-256 of its values at all steps. */
export function describeSchedule(schedule: string | Schedule, totalSteps: number): Readonly<Record<string, string>> {
  if (typeof schedule === "string") return { schedule };
  const values = Float64Array.from({ length: totalSteps + 1 }, (_, step) => schedule(step, totalSteps));
  return { schedule: "function", scheduleHash: createHash("sha256").update(values).digest("hex") };
}

/** The optimizer's steps of an epoch: `accumulate` batches each, the last of what remains. */
export function stepsPerEpoch(
  data: Dataset,
  { batchSize, dropLast, accumulate }: Pick<ResolvedTraining, "batchSize" | "dropLast" | "accumulate">,
): number {
  return Math.ceil(new DataLoader(data, { batchSize, dropLast }).length / accumulate);
}

/** Refuses a scheduler that ends before the run does, rather than stop there. */
export function expectLongEnough({ totalSteps }: LRScheduler, steps: number): void {
  if (totalSteps >= steps) return;
  throw new DistilleryError(
    "BAD_ARGUMENT",
    `schedule: expected at least the ${steps} steps of the run, got ${totalSteps}`,
  );
}
