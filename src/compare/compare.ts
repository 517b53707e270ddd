import { fingerprint } from "../checkpoint/index.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { describeConfig, describeData } from "./describe.js";
import { Examiner } from "./examiner.js";
import { figuresOf } from "./figures.js";
import { inFolder } from "./folder.js";
import { readSeeds, readTrial, type Trial, type TrialInput } from "./input.js";
import type { Member } from "./members.js";
import { SEEDS } from "./options.js";
import type { CompareResult } from "./result.js";
import { measureSize } from "./size.js";
import { pairedDifference } from "./statistics.js";
import { TEACHER } from "./teacher.js";
import { trainTrial } from "./training.js";

/** What {@link compare} takes. */
export interface CompareInput extends TrialInput {
  /** How many, from 0; or which. Each gives a pair of students. Default 5. */
  seeds?: number | readonly number[];
}

/**
 * Does distilling help? Trains the teacher, unless it comes trained, and for each seed two students on the same data with
 * the same budget: one from the labels alone and one distilled, from the same initial weights, with the batches in the same
 * order. Epochs are chosen on the validation set; the test set is read once, when all training is done. The teacher is
 * trained with the first seed and answers once for all students.
 *
 * Each run has its folder below `out`, as a run of {@link trainTeacher} or {@link distill} has; `compare.json` there is
 * the result. The same call gives the same figures, but for times. With `resume` finished runs are taken as they are: so it goes
 * on after an interruption, and with more seeds.
 *
 * @throws DistilleryError `BAD_ARGUMENT`, `SHAPE_MISMATCH`, and those of {@link distill}: `ABORTED` by the signal,
 * `BAD_CONFIG` where `out` has runs with other options, `IN_USE`, `IO_ERROR`.
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
  const trial = readTrial(input);
  const members = seeds.flatMap((seed) => pairOf(seed, trial));
  const { out, resume } = trial.controls;
  const runs = [...members.map(({ name }) => name), TEACHER];
  const config = describeConfig("compare", trial, { seeds });
  return inFolder({ out, resume, runs, config, result: "compare.json" }, () =>
    comparison(trial, { seeds, members, config }),
  );
}

/** The two students of a seed: they differ in the teacher alone. */
function pairOf(seed: number, { options }: Trial): Member[] {
  const kinds = ["alone", "distilled"] as const;
  return kinds.map((kind) => ({ name: `seed-${seed}/${kind}`, kind, seed, options }));
}

async function comparison(
  trial: Trial,
  { seeds, members, config }: { seeds: number[]; members: readonly Member[]; config: CompareResult["config"] },
): Promise<CompareResult> {
  const { problem, test, controls } = trial;
  const { teacher, outcomes } = await trainTrial(trial, members, seeds[0] as number);
  const student = withGenerator(new Generator(0), problem.student);
  const examiner = new Examiner(test, teacher.module, student, controls.signal);
  const of = (kind: Member["kind"]) => outcomes.filter((_, i) => members[i]?.kind === kind);
  const alone = await figuresOf(of("alone"), examiner);
  const distilled = await figuresOf(of("distilled"), examiner);
  const difference = (weights: "best" | "last") =>
    pairedDifference(distilled[weights].accuracy.values, alone[weights].accuracy.values);
  return {
    kind: "compare",
    data: describeData(trial),
    seeds,
    sizes: {
      teacher: await measureSize(teacher.module, teacher.file, test),
      student: await measureSize(student, distilled.files[0] as string, test),
    },
    teacher: {
      file: teacher.file,
      history: teacher.outcome?.history ?? [],
      evaluation: examiner.teacherEvaluation,
    },
    ...{ alone, distilled },
    difference: { best: difference("best"), last: difference("last") },
    config: { ...config, teacherHash: fingerprint(teacher.module.stateDict()) },
  };
}
