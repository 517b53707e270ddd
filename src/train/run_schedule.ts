import { createHash } from "node:crypto";
import { argumentError, isOneOf, show } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import { DataLoader } from "../data/loader.js";
import { CosineAnnealingWarmRestarts, SCHEDULES } from "../optim/index.js";
import type { LRScheduler } from "../optim/lr_scheduler.js";
import { LambdaLR } from "../optim/lr_schedulers.js";
import { OneCycleLR } from "../optim/one_cycle_lr.js";
import { type Schedule, warmup } from "../optim/schedules.js";
import {
  type Expression,
  formatExpression,
  type Issue,
  isModulePath,
  issuesError,
  parseExpression,
  type Term,
} from "../registry/index.js";
import type { ResolvedTraining } from "./options.js";

/**
 * Options of a run that are shorthands for arguments of its schedule, and are used if the expression leaves these out.
 */
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

/** The schedule of a run with every option written out; `BAD_ARGUMENT` for options that the schedule does not have. */
export function resolveSchedule(schedule: Expression | Schedule, options: ScheduleOptions): string | Schedule {
  const issue = scheduleIssue(schedule, options);
  if (issue !== null) throw issuesError([issue]);
  const given = Object.fromEntries(givenOptions(options));
  if (typeof schedule === "function") {
    return given.warmupSteps === undefined ? schedule : warmup(given.warmupSteps, schedule);
  }
  const terms = parseExpression(schedule, "schedule").map((term) => {
    const written = writtenOptions(term);
    const open = Object.entries(given).filter(([name]) => !Object.hasOwn(written, name));
    return { ...term, args: { ...Object.fromEntries(open), ...term.args } };
  });
  return SCHEDULES.canonical(formatExpression(terms), { argument: "schedule" });
}

/**
 * What is wrong with the first option that the schedule does not have, or whose value its expression contradicts; null
 * if nothing is.
 */
export function scheduleIssue(schedule: Expression | Schedule, options: ScheduleOptions): Issue | null {
  const { name, taken, written } = typeof schedule === "function" ? OWN : namedSchedule(schedule);
  const foreign = givenOptions(options).find(([option]) => !taken.includes(option));
  if (foreign !== undefined) {
    const known = taken.length === 0 ? "write it into the expression" : `it has ${taken.join(", ")}`;
    return { path: [foreign[0]], text: `the schedule ${name} has no such option: ${known}` };
  }
  const isOther = (option: keyof ScheduleOptions) =>
    options[option] !== undefined && Object.hasOwn(written, option) && written[option] !== options[option];
  const twice = SCHEDULE_OPTIONS.find(isOther);
  if (twice === undefined) return null;
  return { path: [twice], text: `the schedule says ${twice}=${show(written[twice])}: leave one of the two out` };
}

interface NamedSchedule {
  name: string;
  /** The options that it has. */
  taken: readonly string[];
  /** Those that its expression gives. */
  written: Readonly<Record<string, unknown>>;
}

const OWN: NamedSchedule = { name: "of your own", taken: ["warmupSteps"], written: {} };

function namedSchedule(schedule: Expression): NamedSchedule {
  const [term] = parseExpression(schedule, "schedule");
  return { name: term.name, taken: optionNames(term.name), written: writtenOptions(term) };
}

function writtenOptions({ name, positional, args }: Term): Readonly<Record<string, unknown>> {
  const names = optionNames(name);
  return { ...Object.fromEntries(positional.map((value, i) => [names[i], value])), ...args };
}

function optionNames(name: string): readonly string[] {
  return isModulePath(name) ? [] : Object.keys(SCHEDULES.get(name, "schedule").options);
}

/** Zero warm-up steps mean none. */
function givenOptions(options: ScheduleOptions): [name: string, value: number][] {
  return SCHEDULE_OPTIONS.flatMap((name) => {
    const value = options[name];
    return value === undefined || (name === "warmupSteps" && value === 0) ? [] : [[name, value]];
  });
}

/** The other options: a resolved schedule contains those of the schedule. */
export function withoutScheduleOptions<T extends ScheduleOptions>(options: T): Omit<T, keyof ScheduleOptions> {
  const isOther = ([name]: [string, unknown]) => !isOneOf(SCHEDULE_OPTIONS, name);
  return Object.fromEntries(Object.entries(options).filter(isOther)) as Omit<T, keyof ScheduleOptions>;
}

/**
 * A resolved schedule as stored in `config.json`: its expression, or for a function the SHA-256 of its values at all
 * steps.
 */
export function describeSchedule(schedule: string | Schedule, totalSteps: number): Readonly<Record<string, string>> {
  if (typeof schedule === "string") return { schedule };
  const values = Float64Array.from({ length: totalSteps + 1 }, (_, step) => schedule(step, totalSteps));
  return { schedule: "function", scheduleHash: createHash("sha256").update(values).digest("hex") };
}

/** The optimizer's steps in an epoch: one for every `accumulate` batches, the last for those that remain. */
export function stepsPerEpoch(
  data: Dataset,
  { batchSize, dropLast, accumulate }: Pick<ResolvedTraining, "batchSize" | "dropLast" | "accumulate">,
): number {
  return Math.ceil(new DataLoader(data, { batchSize, dropLast }).length / accumulate);
}

/** Refuses a scheduler that ends before the run does, instead of stopping there. */
export function expectLongEnough({ totalSteps }: LRScheduler, steps: number): void {
  if (totalSteps >= steps) return;
  throw argumentError("schedule", `expected at least the ${steps} steps of the run, got ${totalSteps}`);
}

/** Refuses a rate set by a callback if the run's schedule would overwrite it at the end of the next step. */
export function expectRatesStay(scheduler: LRScheduler): void {
  if (![LambdaLR, OneCycleLR, CosineAnnealingWarmRestarts].some((one) => scheduler instanceof one)) return;
  const text = 'was set by hand, and the schedule sets it anew at each step: take schedule "constant", which leaves it';
  throw argumentError("lr", text);
}
