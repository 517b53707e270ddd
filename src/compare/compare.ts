import { fingerprint } from "../checkpoint/index.js";
import { Generator, withGenerator } from "../tensor/random.js";
import {
  describeConfig,
  describeData,
  type Experiment,
  type ExperimentInput,
  parseExperiment,
  readSeeds,
  withExperimentDirectory,
} from "./experiment.js";
import { SEEDS } from "./options.js";
import { runExperiment } from "./pool.js";
import { aggregate, type CompareResult, measureSize, TestEvaluator } from "./results.js";
import { pairedDifference } from "./statistics.js";
import { TEACHER } from "./teacher.js";
import type { Trial } from "./trial.js";

/** What {@link compare} takes. */
export interface CompareInput extends ExperimentInput {
  /** How many, from 0; or which. Each gives a pair of students. Default 5. */
  seeds?: number | readonly number[];
}

/**
 * Does distilling help? Trains the teacher, unless it comes trained, and for each seed two students on the same data with
 * the same budget: a baseline from the labels only and one distilled, from the same initial weights, with the batches in the
 * same order. Epochs are chosen on the validation set; the test set is read once, when all training is done. The teacher is
 * trained with the first seed, and its logits are computed once for all students.
 *
 * Each trial has its folder below `out`, as a run of {@link trainTeacher} or {@link distill} has; `compare.json` there is
 * the result. The same call gives the same figures, but for times. With `resume`, finished runs are kept as they are: a call
 * continues after an interruption, or adds seeds.
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
export async function compare({ seeds: givenSeeds = SEEDS, ...input }: CompareInput): Promise<CompareResult> {
  const seeds = readSeeds(givenSeeds);
  const experiment = parseExperiment(input);
  const trials = seeds.flatMap((seed) => pairOf(seed, experiment));
  const { out, resume } = experiment.controls;
  const runs = [...trials.map(({ name }) => name), TEACHER];
  const config = describeConfig("compare", experiment, { seeds });
  return withExperimentDirectory({ out, resume, runs, config, result: "compare.json" }, () =>
    comparison(experiment, { seeds, trials, config }),
  );
}

/** The two students of a seed. They differ in one thing: whether there is a teacher. */
function pairOf(seed: number, { options, loss }: Experiment): Trial[] {
  const kinds = ["baseline", "distilled"] as const;
  return kinds.map((kind) => ({ name: `seed-${seed}/${kind}`, kind, seed, options, loss }));
}

async function comparison(
  experiment: Experiment,
  { seeds, trials, config }: { seeds: number[]; trials: readonly Trial[]; config: CompareResult["config"] },
): Promise<CompareResult> {
  const { task, test, controls } = experiment;
  const { teacher, outcomes } = await runExperiment(experiment, trials, seeds[0]);
  const student = withGenerator(new Generator(0), task.student);
  const evaluator = new TestEvaluator(test, teacher.module, student, controls.signal);
  const of = (kind: Trial["kind"]) => outcomes.filter((_, i) => trials[i]?.kind === kind);
  const baseline = await aggregate(of("baseline"), evaluator);
  const distilled = await aggregate(of("distilled"), evaluator);
  const difference = (weights: "best" | "last") =>
    pairedDifference(distilled[weights].accuracy.values, baseline[weights].accuracy.values);
  return {
    kind: "compare",
    data: describeData(experiment),
    seeds,
    sizes: {
      teacher: await measureSize(teacher.module, teacher.file, test),
      student: await measureSize(student, distilled.files[0], test),
    },
    teacher: {
      file: teacher.file,
      history: teacher.outcome?.history ?? [],
      evaluation: evaluator.teacherEvaluation,
    },
    baseline,
    distilled,
    difference: { best: difference("best"), last: difference("last") },
    config: { ...config, teacherHash: fingerprint(teacher.module.stateDict()) },
  };
}
