import { setImmediate } from "node:timers/promises";
import { load } from "../checkpoint/index.js";
import type { Dataset } from "../data/index.js";
import { hasTargets } from "../data/task_name.js";
import { DistilleryError } from "../errors.js";
import type { WorkProgress } from "../log/progress_line.js";
import { Module } from "../nn/module.js";
import type { TaskEvaluation } from "../tasks/evaluation.js";
import { evaluateOutputs, taskOf } from "../tasks/index.js";
import { metricsOf } from "../tasks/metrics.js";
import type { Tensor } from "../tensor/tensor.js";
import { TEST_SET } from "../train/evaluate_run.js";
import { logitsOf } from "../train/index.js";
import { type Fidelity, fidelityOf, spreadOf } from "./behaviour.js";
import type { ExternalTeacher } from "./external_teacher.js";
import type { MetricStats, StudentMetrics } from "./results.js";
import { type SampleStats, sampleStats } from "./statistics.js";
import type { TrainedTeacher } from "./teacher.js";
import type { Outcome } from "./trial.js";

/** A student on the test set. */
interface Examined {
  evaluation: TaskEvaluation;
  /** By sample, if the task's first figure is their mean. */
  scores: ArrayLike<number> | null;
  /** With the teacher; null without its logits, and if the samples have no classes. */
  fidelity: ReturnType<typeof fidelityOf> | null;
}

/** The figures of one way to train, and the scores of the test samples by seed. */
export interface ExaminedStudents {
  figures: StudentMetrics;
  /** Null if the task's first figure is no mean over samples. */
  scores: Record<"best" | "last", ArrayLike<number>[]> | null;
  /**
   * How well the best weights follow the teacher on the test set; null without its logits, and if the samples have no
   * classes.
   */
  fidelity: Fidelity | null;
}

/** What is examined on the test set. */
interface Examination {
  test: Dataset;
  external: ExternalTeacher | null;
  /** Takes the weights of one file after the other. */
  student: Module;
  /** How many files. */
  files: number;
  controls: { signal: AbortSignal; onWork: (progress: WorkProgress) => void };
}

function tell({ files, controls }: Examination, done: number): void {
  controls.onWork({ work: TEST_SET, done, total: files });
}

/** Evaluates on the test set after all training is done. */
export class TestEvaluator {
  readonly teacherEvaluation: TaskEvaluation | null;
  #done = 0;

  private constructor(
    /** The teacher's for the test set; null if it knows none. */
    readonly teacherLogits: Tensor | null,
    private readonly of: Examination,
  ) {
    this.teacherEvaluation = teacherLogits && evaluateOutputs(teacherLogits, of.test);
  }

  /** Asks the teacher about the test set, once all training is done. */
  static async open({ source }: TrainedTeacher, of: Examination): Promise<TestEvaluator> {
    const { external, test, controls } = of;
    tell(of, 0);
    await setImmediate();
    if (external !== null) return new TestEvaluator(await external.testLogits(test, controls.signal), of);
    return new TestEvaluator(source instanceof Module ? logitsOf(source, test) : null, of);
  }

  /** The student's figures with the weights of a file. */
  async evaluate(file: string): Promise<Examined> {
    const { teacherLogits } = this;
    const { student, test, controls } = this.of;
    await setImmediate();
    if (controls.signal.aborted) throw new DistilleryError("ABORTED", "stopped while the test set was read");
    student.loadStateDict(await load(file));
    const logits = logitsOf(student, test);
    const scores = taskOf(test).scores?.(logits, test) ?? null;
    this.#done += 1;
    tell(this.of, this.#done);
    return {
      evaluation: evaluateOutputs(logits, test, teacherLogits ?? undefined),
      scores,
      fidelity: teacherLogits === null || hasTargets(test) ? null : fidelityOf(logits, teacherLogits),
    };
  }

  /** The figures of several evaluations, as they spread. */
  spreads(evaluations: readonly TaskEvaluation[]): MetricStats {
    const all = metricsOf(this.of.test).flatMap((metric): [string, SampleStats][] => {
      const values = evaluations.map((evaluation) => metric.of(evaluation));
      const isKnown = values.every((value): value is number => value !== undefined);
      return isKnown ? [[metric.name, sampleStats(values)]] : [];
    });
    return Object.fromEntries(all);
  }
}

/** The figures of one way to train, over its trials. */
export async function aggregate(outcomes: readonly Outcome[], evaluator: TestEvaluator): Promise<ExaminedStudents> {
  const [best, last]: [Examined[], Examined[]] = [[], []];
  for (const { files } of outcomes) {
    best.push(await evaluator.evaluate(files.best));
    last.push(await evaluator.evaluate(files.last));
  }
  const evaluationsOf = (examined: readonly Examined[]) => examined.map(({ evaluation }) => evaluation);
  const scoresOf = (examined: readonly Examined[]) =>
    examined.flatMap(({ scores }) => (scores === null ? [] : [scores]));
  const figures = {
    best: {
      ...evaluator.spreads(evaluationsOf(best)),
      epoch: sampleStats(outcomes.map((outcome) => outcome.best.epoch)),
    },
    last: evaluator.spreads(evaluationsOf(last)),
    histories: outcomes.map(({ history }) => history),
    evaluations: evaluationsOf(best),
    files: outcomes.map(({ files }) => files.best),
  };
  const scores = { best: scoresOf(best), last: scoresOf(last) };
  const followed = best.flatMap(({ fidelity }) => (fidelity === null ? [] : [fidelity]));
  return {
    figures,
    scores: scores.best.length === outcomes.length ? scores : null,
    fidelity: followed.length === outcomes.length ? spreadOf(followed) : null,
  };
}
