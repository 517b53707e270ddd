import { argumentError, expectFraction, expectObject } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import type { Metrics } from "../log/epoch_record.js";
import { LOSSES } from "../losses/index.js";
import { KD_DEFAULTS, kdEntry, NO_SOFT_TARGETS } from "../losses/kd_loss.js";
import { isDistillationLoss } from "../losses/loss.js";
import { expectTemperature } from "../losses/temperature.js";
import { type Expression, formatExpression, isModulePath, parseExpression, type Term } from "../registry/index.js";
import type { TaskEvaluation } from "../tasks/evaluation.js";
import { taskOf } from "../tasks/index.js";
import { epochKey, type Metric, metricsOf } from "../tasks/metrics.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { expectSoftTargets } from "../train/options.js";
import { expectSmoothed } from "../train/resolve_loss.js";
import { isBetterEpoch, metricsOfEpoch } from "../train/trainer_state.js";
import {
  describeConfig,
  describeData,
  type Experiment,
  expectDistinct,
  parseExperiment,
  readSeeds,
} from "./experiment.js";
import { withExperimentFolder } from "./experiment_folder.js";
import type { ExperimentInput } from "./experiment_input.js";
import { teacherFolder } from "./methods.js";
import { SWEEP_DEFAULTS } from "./options.js";
import {
  expectUnchanged,
  type Lead,
  measureSize,
  type PointSpread,
  type SweepPoint,
  type SweepResult,
  sizeOfTeacher,
} from "./results.js";
import {
  type ExperimentPlan,
  runExperiment,
  runShare,
  type Share,
  type ShareResult,
  seedBySeed,
} from "./run_experiment.js";
import { corrected, pairedDifference, sampleStats } from "./statistics.js";
import { hashOf, teacherSeedOf } from "./teacher.js";
import { TestEvaluator } from "./test_evaluator.js";
import type { Outcome, Trial } from "./trial.js";
import { makeLosses } from "./trial_losses.js";

/** What {@link sweep} takes. */
export interface SweepInput extends Omit<ExperimentInput, "temperature" | "alpha"> {
  /** Default 1, 2, 4, 8. */
  temperatures?: readonly number[];
  /** Default 0.1, 0.5, 0.9. */
  alphas?: readonly number[];
  /**
   * Seeds of each point's students, or how many from 0 on; the teacher has one of its own (the first + 2^31). Default
   * 1.
   */
  seeds?: number | readonly number[];
}

/**
 * Distils a student for every temperature and every alpha, all from the same initial weights with the batches in the
 * same order, and chooses the best on the validation set. The teacher's logits are computed once for all; the test set
 * is read once, for the chosen student, when all training is done. With several `seeds` points are ranked by their
 * mean, and the chosen one's lead over each other point has an interval and a p value that is corrected for their
 * number.
 *
 * Each run has its folder below `out`, like a run of {@link distill}; the result is `sweep.json` there. `resume` and
 * errors are those of {@link compare}.
 *
 * @throws DistilleryError as {@link compare}.
 * @example
 * ```ts
 * const student = () => new StudentNet();
 * const { best } = await sweep({ teacher, student, data: train, test, temperatures: [2, 4], epochs: 12, out: "runs/sweep" });
 * console.log(best.temperature, best.alpha, best.validationAccuracy);
 * ```
 */
export async function sweep(input: SweepInput): Promise<SweepResult> {
  const plan = await planOf(input);
  return withExperimentFolder({ ...plan, result: "sweep.json" }, () => swept(plan));
}

/**
 * Trains one share of a sweep's runs, as {@link compareShare} does for a comparison; `sweep({ ..., collect: true })`
 * returns the result.
 *
 * @throws DistilleryError as {@link compareShare}.
 * @example
 * ```ts
 * const student = () => new StudentNet();
 * const options = { teacher, student, data: train, test, epochs: 12, out: "/shared/sweep" };
 * await sweepShare(options, { index: 0, of: 4 });
 * ```
 */
export async function sweepShare(input: SweepInput, share: Share): Promise<ShareResult> {
  return runShare(await planOf(input), share);
}

/** The students that {@link sweep} would train, in its order; refuses what it would refuse before training. */
export async function sweepTrials(input: SweepInput): Promise<readonly Trial[]> {
  return (await planOf(input)).trials;
}

interface Plan extends ExperimentPlan {
  grid: Grid;
  /** Each with its students, one a seed. */
  points: readonly { point: Point; trials: readonly Trial[] }[];
}

async function planOf(input: SweepInput): Promise<Plan> {
  expectObject("sweep", input);
  const { grid, experiment } = readSweep(input);
  const teacherSeed = teacherSeedOf(grid.seeds);
  const points = grid.temperatures.flatMap((temperature) =>
    grid.alphas.map((alpha) => {
      const point = { temperature, alpha };
      const trials = grid.seeds.map((seed, i) => {
        const trial = trialOf(experiment, point, seed);
        // Without a folder of its own the first seed's runs are those of a sweep of one seed, which goes on with more.
        return i === 0 ? trial : { ...trial, name: `seed-${seed}/${trial.name}` };
      });
      return { point, trials };
    }),
  );
  const trials = seedBySeed(points.map(({ trials }) => trials));
  const { temperature: _, alpha: __, ...config } = describeConfig("sweep", experiment, { ...grid });
  const made = await makeLosses(
    experiment,
    trials.map(({ loss }) => loss),
  );
  for (const one of made.values()) if (one !== null) expectSmoothed(one, experiment.options);
  return { experiment, teacherSeed, grid, points, trials, config };
}

type Point = Pick<SweepPoint, "temperature" | "alpha">;
type Grid = Pick<SweepResult, "seeds" | "temperatures" | "alphas">;

function readSweep({ seeds = SWEEP_DEFAULTS.seeds, temperatures, alphas, ...rest }: SweepInput): {
  grid: Grid;
  experiment: Experiment;
} {
  const single = ["temperature", "alpha"].find((name) => name in rest);
  if (single !== undefined) throw argumentError(single, `a sweep takes a list, ${single}s`);
  const experiment = parseExperiment(rest, ["seeds", "temperatures", "alphas"]);
  const takes = sweepArguments(experiment.loss, experiment.task.data);
  const { temperature, alpha } = experiment.options;
  const grid = {
    seeds: readSeeds(seeds),
    temperatures: takes.includes("temperature")
      ? expectDistinct("temperatures", temperatures ?? SWEEP_DEFAULTS.temperatures, expectTemperature)
      : fixed("temperature", temperatures, temperature),
    alphas: takes.includes("alpha")
      ? expectDistinct("alphas", alphas ?? SWEEP_DEFAULTS.alphas, expectFraction)
      : fixed("alpha", alphas, alpha),
  };
  if (experiment.loss !== null || grid.alphas.some((one) => one > 0)) return { grid, experiment };
  expectSoftTargets({ alpha: 0, calibrateTeacher: experiment.calibrateTeacher });
  if (temperatures !== undefined && takes.includes("temperature")) throw argumentError("temperatures", NO_SOFT_TARGETS);
  return { grid: { ...grid, temperatures: [temperature] }, experiment };
}

const ARGUMENTS = ["temperature", "alpha"] as const;
type Argument = (typeof ARGUMENTS)[number];

/** What of a loss is swept: what is of any of its terms. Without a loss, what that of the data's task reads. */
function sweepArguments(loss: Experiment["loss"], data: Dataset): Argument[] {
  if (loss === null) return ARGUMENTS.filter((name) => taskOf(data).reads.includes(name));
  if (typeof loss === "function" || isDistillationLoss(loss)) {
    throw argumentError("loss", "a sweep sets the arguments of an expression, as dkd or ./my_loss.mjs");
  }
  const terms = termsOf(loss);
  const taken = ARGUMENTS.filter((name) => terms.some((term) => sweptOf(term, terms).includes(name)));
  if (taken.length > 0) return taken;
  const text = `no term of ${formatExpression(loss)} has a temperature or an alpha to sweep: there is nothing to sweep`;
  throw argumentError("loss", text);
}

/** The terms of an expression with their options written out, but for those that are left out. */
function termsOf(loss: Expression): Term[] {
  return parseExpression(LOSSES.canonical(loss, { argument: "loss" }));
}

/**
 * What of a term is swept: both of a module of the user's own; otherwise a temperature that is one number, and the
 * alpha of `kd`, which shares the loss between teacher and labels, if `kd` is the whole loss or has an alpha. That of
 * `dkd` is something else.
 */
function sweptOf({ name, args }: Term, terms: readonly Term[]): Argument[] {
  if (isModulePath(name)) return [...ARGUMENTS];
  const hasTemperature =
    Object.hasOwn(LOSSES.get(name, "loss").options, "temperature") && !Array.isArray(args.temperature);
  const hasAlpha = name === kdEntry.name && (terms.length === 1 || args.alpha !== undefined);
  return [...(hasTemperature ? ["temperature" as const] : []), ...(hasAlpha ? ["alpha" as const] : [])];
}

const WANTED = {
  temperature: "one temperature for all epochs",
  alpha: "an alpha that shares the loss between teacher and labels, as kd(alpha=0.5)",
};

/** The only value of an argument that the loss does not take. */
function fixed(name: Argument, values: readonly number[] | undefined, value: number): number[] {
  if (values === undefined) return [value];
  throw argumentError(`${name}s`, `no term of the loss has ${WANTED[name]}: leave it out`);
}

function trialOf({ options, loss, calibrateTeacher }: Experiment, point: Point, seed: number): Trial {
  const name = `temperature-${point.temperature}/${teacherFolder(`alpha-${point.alpha}`, calibrateTeacher)}`;
  if (loss === null) {
    const own = point.alpha > 0 ? { options: { ...options, ...point }, calibrateTeacher } : ofLabels(options);
    return { name, kind: "distilled", seed, loss, ...own };
  }
  const given = termsOf(loss as Expression);
  const terms = given.map((term) => {
    const swept = sweptOf(term, given).map((name) => [name, point[name]]);
    const args: Term["args"] = { ...term.args, ...Object.fromEntries(swept) };
    const isUntaught = term.name === kdEntry.name && args.alpha === 0;
    return { ...term, args: isUntaught ? { ...args, temperature: KD_DEFAULTS.temperature } : args };
  });
  return { name, kind: "distilled", seed, options, loss: formatExpression(terms), calibrateTeacher };
}

/** Without soft targets nothing reads a temperature, and the teacher's logits are as they are. */
function ofLabels(options: Experiment["options"]): Pick<Trial, "options" | "calibrateTeacher"> {
  return { options: { ...options, alpha: 0 }, calibrateTeacher: false };
}

async function swept(plan: Plan): Promise<SweepResult> {
  const { experiment, grid, config } = plan;
  const { task, test, external, controls } = experiment;
  const { teacher, outcomesOf } = await runExperiment(plan);
  await expectUnchanged(teacher);
  const [metric] = metricsOf(task.data);
  const all = plan.points.map(({ point, trials }) => pointOf(metric, point, outcomesOf(trials)));
  const at = bestOf(metric, all);
  const spreads = grid.seeds.length < 2 ? null : spreadOfPoints(all, at);
  const points = all.map(({ point }, i): SweepPoint => ({ ...point, ...(spreads && { spread: spreads[i] }) }));
  const chosen = points[at];
  const student = withGenerator(new Generator(0), () => task.student());
  const { files } = all[at];
  const evaluator = await TestEvaluator.open(teacher, { test, external, student, files: files.length, controls });
  const evaluations: TaskEvaluation[] = [];
  for (const file of files) evaluations.push((await evaluator.evaluate(file)).evaluation);
  const [evaluation] = evaluations;
  return {
    kind: "sweep",
    data: describeData(experiment),
    ...grid,
    swept: sweepArguments(experiment.loss, task.data),
    points,
    best: { ...chosen, evaluation, ...(spreads && { test: evaluator.spreads(evaluations) }) },
    teacher: { file: teacher.file, evaluation: evaluator.teacherEvaluation },
    sizes: {
      teacher: await sizeOfTeacher(teacher, test),
      student: await measureSize(student, chosen.file, test),
    },
    config: { ...config, teacherHash: hashOf(teacher.source, task.data) },
  };
}

interface Measured {
  point: Omit<SweepPoint, "spread">;
  /** The figure by seed, and the best weights. */
  values: number[];
  files: string[];
  /** The means over the seeds of what points are compared by. */
  means: Metrics;
}

function pointOf(metric: Metric, { temperature, alpha }: Point, outcomes: readonly Outcome[]): Measured {
  const key = epochKey(metric);
  const all = outcomes.map(({ best }) => metricsOfEpoch(best));
  const values = all.map((one) => one[key]);
  const means = {
    [key]: sampleStats(values).mean,
    validationLoss: sampleStats(all.map(({ validationLoss }) => validationLoss)).mean,
  };
  const agreements = outcomes.flatMap(({ history, best }) => history[best.epoch - 1]?.metrics.agreement ?? []);
  const agreement = agreements.length === outcomes.length ? sampleStats(agreements).mean : null;
  const [{ history, best, files }] = outcomes;
  const of = { [key]: means[key], agreement, bestEpoch: best.epoch, history, file: files.best };
  return { point: { temperature, alpha, ...of }, values, files: outcomes.map(({ files }) => files.best), means };
}

/** Which did best on the validation set: by the mean of the task's figure or, if that is equal, in loss. */
function bestOf(metric: Metric, points: readonly Measured[]): number {
  return points.reduce((best, { means }, i) => (isBetterEpoch(metric, means, points[best].means) ? i : best), 0);
}

/** The spread of each point, by its values over the seeds; `chosen` is the number of the best one. */
function spreadOfPoints(
  points: readonly { values: readonly number[]; files: string[] }[],
  chosen: number,
): PointSpread[] {
  const { values: best } = points[chosen];
  const differences = points.map(({ values }) => pairedDifference(best, values));
  const others = differences.filter((_, i) => i !== chosen);
  // The best point was chosen by these values: its differences are those of all pairs that came out largest.
  const pairs = (points.length * others.length) / 2;
  const leads: Lead[] = corrected(others, pairs);
  return points.map(({ values, files }, i) => {
    const lead = i === chosen ? null : leads[i < chosen ? i : i - 1];
    return { figure: sampleStats(values), files, lead };
  });
}
