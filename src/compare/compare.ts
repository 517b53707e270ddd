import { argumentError, badArgument, expectObject } from "../checks.js";
import { hasTargets } from "../data/task_name.js";
import type { LossSpec } from "../losses/index.js";
import { KD_DEFAULTS } from "../losses/kd_loss.js";
import { epochKey, metricsOf } from "../tasks/metrics.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { behaviourOf } from "./behaviour.js";
import {
  describeConfig,
  describeData,
  describeLoss,
  type Experiment,
  expectLoss,
  parseExperiment,
  readSeeds,
} from "./experiment.js";
import { withExperimentFolder } from "./experiment_folder.js";
import type { ExperimentInput } from "./experiment_input.js";
import { type FractionTrials, fractionMetrics, fractionTrials, readFractions } from "./fractions.js";
import { BASELINE, differenceOf, labelOf, methodsOf, type NamedMethod, nameMethod, nameMethods } from "./methods.js";
import { SEEDS } from "./options.js";
import { type CompareResult, expectUnchanged, type FractionMetrics, measureSize, sizeOfTeacher } from "./results.js";
import {
  type ExperimentPlan,
  runExperiment,
  runShare,
  type Share,
  type ShareResult,
  seedBySeed,
} from "./run_experiment.js";
import { pairedDifference } from "./statistics.js";
import { hashOf, teacherSeedOf } from "./teacher.js";
import { aggregate, type ExaminedStudents, TestEvaluator } from "./test_evaluator.js";
import type { Trial } from "./trial.js";
import { isOfBaseline, makeLosses, readsLogits, withCacheUse } from "./trial_losses.js";

/** What {@link compare} takes. */
export interface CompareInput extends Omit<ExperimentInput, "calibrateTeacher"> {
  /** How many seeds, from 0; or a list of them. Each gives a pair of students. Default 5. */
  seeds?: number | readonly number[];
  /**
   * Losses to compare, instead of `loss`: a student with each for each seed, against one baseline. The result's
   * `methods` has all of them; its `distilled` and `difference` are those of the first.
   */
  losses?: readonly LossSpec[];
  /**
   * Whether the teacher's logits are scaled to fit the validation set, as in {@link distill}; default false. `"both"`:
   * a student with each teacher for each seed and each loss; the result's `methods` then shows the effect of
   * calibration.
   */
  calibrateTeacher?: boolean | "both";
  /**
   * Fractions of the training data, from 0 to 1, on which pairs of students are also trained, with the first loss and
   * for the same number of epochs: a data-size curve, the result's `fractions`. The teacher is trained on all data.
   */
  fractions?: readonly number[];
}

/**
 * Does distillation help? Trains the teacher, unless it is already trained, and for each seed two students on the same
 * data with the same budget: a baseline on the labels only and a distilled one, from the same initial weights, with the
 * batches in the same order. Epochs are chosen on the validation set; the test set is read once, when all training is
 * done. The teacher is trained with a seed that no student has (the first + 2^31), and its logits are computed once for
 * all students. With `losses` a student is distilled with each, and p values are corrected for their number.
 *
 * Each trial has its folder below `out`, like a run of {@link trainTeacher} or {@link distill}; the result is
 * `compare.json` there. The same call gives the same metrics, except for times. With `resume`, finished runs are kept:
 * a call continues after an interruption, or adds seeds.
 *
 * @throws DistilleryError `BAD_ARGUMENT`, `SHAPE_MISMATCH`, and those of {@link distill}: `ABORTED` by the signal,
 * `BAD_CONFIG` if `out` has runs with other options, `IN_USE`, `IO_ERROR`.
 * @example
 * ```ts
 * const { train, test } = await loadImages("fashion-mnist");
 * const teacher = () => new TeacherNet();
 * const student = () => new StudentNet();
 * const { difference } = await compare({ teacher, student, data: train, test, epochs: 12, out: "runs/compare" });
 * const { mean, low, high, distinguishable } = difference.best;
 * ```
 */
export async function compare(options: CompareInput): Promise<CompareResult> {
  const plan = await planOf(options);
  return withExperimentFolder({ ...plan, result: "compare.json" }, () => comparison(plan));
}

/**
 * Trains one share of a comparison's runs. Several processes, on one machine or on many that share the folder `out`,
 * can train shares in any order and again after a failure, without a coordinator. Share 0 trains the teacher, and the
 * others wait for it. When all are done, `compare({ ..., collect: true })` returns the result that one call would.
 *
 * @throws DistilleryError as {@link compare}; what share 0 failed with.
 * @example
 * ```ts
 * const student = () => new StudentNet();
 * const options = { teacher, student, data: train, test, epochs: 12, out: "/shared/compare" };
 * const { runs } = await compareShare(options, { index: Number(process.env.SLURM_ARRAY_TASK_ID), of: 4 });
 * ```
 */
export async function compareShare(options: CompareInput, share: Share): Promise<ShareResult> {
  return runShare(await planOf(options), share);
}

/** The students that {@link compare} would train, in its order; refuses what it would refuse before training. */
export async function compareTrials(options: CompareInput): Promise<readonly Trial[]> {
  const { experiment, trials } = await planOf(options);
  return withCacheUse(experiment, trials);
}

const OWN = ["seeds", "losses", "fractions"] as const satisfies readonly (keyof CompareInput)[];

interface Plan extends ExperimentPlan {
  seeds: number[];
  baseline: readonly Trial[];
  /** The students of each way to distil. */
  distilled: readonly { method: NamedMethod; trials: readonly Trial[] }[];
  /** The smallest first; none if there is to be no data-size curve. */
  curve: readonly FractionTrials[];
}

async function planOf(options: CompareInput): Promise<Plan> {
  expectObject("compare", options);
  const { seeds: givenSeeds = SEEDS, losses: given, fractions: parts, calibrateTeacher = false, ...input } = options;
  const seeds = readSeeds(givenSeeds);
  const teacherSeed = teacherSeedOf(seeds);
  if (typeof calibrateTeacher !== "boolean" && calibrateTeacher !== "both") {
    throw badArgument("calibrateTeacher", 'true, false or "both"', calibrateTeacher);
  }
  const experiment = parseExperiment({ ...input, calibrateTeacher: calibrateTeacher !== false }, OWN);
  const methods = await readMethods(experiment, given, calibrateTeacher);
  const fractions = parts === undefined ? [] : readFractions(parts, experiment);
  // Of each seed the students differ in one thing: what they are trained with.
  const { options: training, loss } = experiment;
  const baseline = seeds.map((seed): Trial => {
    return { name: `seed-${seed}/${BASELINE}`, kind: "baseline", seed, options: training, loss };
  });
  const distilled = methods.map((method) => {
    const { spec, folder, calibrateTeacher } = method;
    const common = { kind: "distilled", options: training, loss: spec, calibrateTeacher } as const;
    return { method, trials: seeds.map((seed): Trial => ({ ...common, name: `seed-${seed}/${folder}`, seed })) };
  });
  const ofAll = { fraction: 1, baseline, distilled: distilled[0].trials };
  const curve = fractions.map((fraction) => {
    return fraction === 1 ? ofAll : fractionTrials(fraction, seeds, experiment, methods[0]);
  });
  const groups = [
    [baseline, ...distilled.map(({ trials }) => trials)],
    ...curve.map((of) => [of.baseline, of.distilled]),
  ];
  const trials = [...new Set(groups.flatMap(seedBySeed))];
  const { classes } = experiment.task.data;
  const described = given?.map((loss) => describeLoss(loss, classes));
  const more = {
    ...(described && { losses: described }),
    ...(calibrateTeacher === "both" && { calibrateTeacher }),
    ...(parts && { fractions }),
  };
  const config = describeConfig("compare", experiment, { seeds, ...more });
  return { experiment, seeds, teacherSeed, baseline, distilled, curve, trials, config };
}

async function readMethods(
  experiment: Experiment,
  given: readonly LossSpec[] | undefined,
  calibrateTeacher: boolean | "both",
): Promise<NamedMethod[]> {
  const { loss, options, controls } = experiment;
  const choiceOf = async (losses: readonly Trial["loss"][]) => {
    const made = await makeLosses(experiment, losses, { nameOf: (i) => (given ? `losses[${i}]` : "loss") });
    for (const [spec, one] of made) {
      if (spec === null || !isOfBaseline(one, experiment)) continue;
      const text = `${labelOf(spec)} is what the baseline, which is always there, is trained with`;
      throw argumentError(given ? "losses" : "loss", text);
    }
    return { calibrateTeacher, readsLogits: (spec: Trial["loss"]) => readsLogits(made.get(spec) ?? null) };
  };
  if (given === undefined) return nameMethod(loss, await choiceOf([loss]), experiment);
  if (!Array.isArray(given) || given.length === 0) throw badArgument("losses", "a list of losses", given);
  if (loss !== null) throw argumentError("loss", "expected one of loss and losses, got both");
  const name = (["temperature", "alpha"] as const).find((option) => options[option] !== KD_DEFAULTS[option]);
  if (name !== undefined)
    throw argumentError(name, 'each of losses has its own, as "kd(temperature=4)": leave one of the two out');
  for (const [i, one] of given.entries()) expectLoss(`losses[${i}]`, one, controls.workers);
  return nameMethods(given, await choiceOf(given));
}

async function comparison(plan: Plan): Promise<CompareResult> {
  const { experiment, seeds, trials, config } = plan;
  const { task, test, external, controls } = experiment;
  const { teacher, outcomesOf } = await runExperiment(plan);
  await expectUnchanged(teacher);
  const student = withGenerator(new Generator(0), () => task.student());
  const evaluator = await TestEvaluator.open(teacher, { test, external, student, files: 2 * trials.length, controls });
  const examined = (group: readonly Trial[]) => aggregate(outcomesOf(group), evaluator);
  const ofBaseline = await examined(plan.baseline);
  const ofMethods: ExaminedStudents[] = [];
  for (const { trials } of plan.distilled) ofMethods.push(await examined(trials));
  const [ofFirst] = ofMethods;
  const [baseline, distilled] = [ofBaseline.figures, ofFirst.figures];
  const [metric] = metricsOf(task.data);
  const difference = (weights: "best" | "last") => differenceOf(ofFirst, ofBaseline, weights, metric.name);
  const curve: FractionMetrics[] = [];
  for (const { fraction, ...pair } of plan.curve) {
    const both =
      fraction === 1
        ? { baseline: ofBaseline, distilled: ofFirst }
        : { baseline: await examined(pair.baseline), distilled: await examined(pair.distilled) };
    curve.push(fractionMetrics(fraction, task.data, both, metric.name));
  }
  const onValidation = (group: readonly Trial[]) => outcomesOf(group).map(({ best }) => best[epochKey(metric)]);
  return {
    kind: "compare",
    data: describeData(experiment),
    seeds,
    sizes: {
      teacher: await sizeOfTeacher(teacher, test),
      student: await measureSize(student, distilled.files[0], test),
    },
    teacher: {
      file: teacher.file,
      history: teacher.outcome?.history ?? [],
      evaluation: evaluator.teacherEvaluation,
    },
    baseline,
    distilled,
    difference: {
      best: difference("best"),
      last: difference("last"),
      validation: pairedDifference(onValidation(plan.distilled[0].trials), onValidation(plan.baseline)),
    },
    changes: hasTargets(task.data)
      ? null
      : await behaviourOf(ofBaseline, ofFirst, {
          ...experiment,
          teacher: teacher.source,
          teacherLogits: evaluator.teacherLogits,
          student,
        }),
    methods: methodsOf(
      plan.distilled.map(({ method }) => method),
      ofMethods,
      ofBaseline,
      metric.name,
    ),
    ...(curve.length > 0 && { fractions: curve }),
    config: { ...config, teacherHash: hashOf(teacher.source, task.data) },
  };
}
