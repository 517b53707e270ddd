import { argumentError, expectNumber } from "../checks.js";
import type { Dataset } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import { stepsPerEpoch } from "../train/run_schedule.js";
import { type Experiment, expectDistinct } from "./experiment.js";
import { BASELINE, DISTILLED, differenceOf, type NamedMethod, teacherFolder } from "./methods.js";
import type { FractionMetrics } from "./results.js";
import { fractionOf } from "./task.js";
import type { ExaminedStudents } from "./test_evaluator.js";
import type { Trial } from "./trial.js";

/** The fractions, the smallest first; 1, which is the comparison itself, is always among them. */
export function readFractions(given: readonly number[], { task, options, external }: Experiment): number[] {
  const expected = "a number above 0, up to 1";
  const fractions = expectDistinct("fractions", given, (name, value) =>
    expectNumber(name, value, (x) => x > 0 && x <= 1, expected),
  );
  if (external !== null) {
    const text = "expected a network as the teacher, whose logits can be computed for each part of the data";
    throw argumentError("fractions", text);
  }
  for (const fraction of fractions) {
    try {
      stepsPerEpoch(fractionOf(task.data, fraction), options);
    } catch (error) {
      if (!(error instanceof DistilleryError)) throw error;
      const text = `${fraction} of ${task.data.length} samples: ${error.message}`;
      throw argumentError("fractions", text, { code: error.code, cause: error });
    }
  }
  return [...new Set([...fractions, 1])].sort((a, b) => a - b);
}

/** The students of a fraction of the data, those of a seed at the same place. */
export interface FractionTrials {
  fraction: number;
  baseline: readonly Trial[];
  distilled: readonly Trial[];
}

/** A pair of students for each seed, of a fraction below 1. */
export function fractionTrials(
  fraction: number,
  seeds: readonly number[],
  { options }: Experiment,
  { spec: loss, calibrateTeacher }: NamedMethod,
): FractionTrials {
  const trials = (folder: string, rest: Pick<Trial, "kind" | "calibrateTeacher">) =>
    seeds.map((seed): Trial => {
      return { name: `fraction-${fraction}/seed-${seed}/${folder}`, seed, options, loss, fraction, ...rest };
    });
  return {
    fraction,
    baseline: trials(BASELINE, { kind: "baseline" }),
    distilled: trials(teacherFolder(DISTILLED, calibrateTeacher), { kind: "distilled", calibrateTeacher }),
  };
}

/** What the students of a fraction came to. */
export function fractionMetrics(
  fraction: number,
  data: Dataset,
  { baseline, distilled }: { baseline: ExaminedStudents; distilled: ExaminedStudents },
  metric: string,
): FractionMetrics {
  const of = ({ figures: { best } }: ExaminedStudents) => best;
  return {
    fraction,
    samples: fractionOf(data, fraction).length,
    baseline: of(baseline),
    distilled: of(distilled),
    difference: differenceOf(distilled, baseline, "best", metric),
  };
}
