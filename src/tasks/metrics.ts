import { type OfTask, type TaskName, taskNameOf } from "../data/task_name.js";
import { capitalized, showPercent } from "../show.js";
import type { Evaluation, TaskEvaluation } from "./evaluation.js";

/** A metric of how good a network is: what tables, logs, summaries and reports show of an evaluation. */
export interface Metric {
  /**
   * Its name in results; an epoch's record calls it `validation` and the name, the agreement with a teacher by its
   * name.
   */
  readonly name: string;
  /** In tables and sentences. */
  readonly label: string;
  /**
   * A fraction is shown in percent, and differences of it in points; a number as it is, a count without digits behind
   * the point.
   */
  readonly kind: "fraction" | "number" | "count";
  readonly better: "higher" | "lower";
  /** Whether each epoch's record has it. */
  readonly perEpoch: boolean;
  /** Its value; undefined if the evaluation lacks it, as the agreement without a teacher. */
  of(evaluation: TaskEvaluation): number | undefined;
}

type Given = Omit<Metric, "of" | "better" | "kind" | "perEpoch"> & Partial<Metric>;

function metric({ name, ...rest }: Given): Metric {
  return { name, kind: "fraction", better: "higher", perEpoch: true, of: (one) => numberIn(one, name), ...rest };
}

function numberIn(evaluation: TaskEvaluation, name: string): number | undefined {
  return (evaluation as unknown as Readonly<Record<string, number | undefined>>)[name];
}

const AGREEMENT = metric({ name: "agreement", label: "agreement with the teacher" });

/** The metrics of each task. By the first one the best epoch is chosen, and students are compared. */
const METRICS: Readonly<Record<TaskName, readonly [Metric, ...Metric[]]>> = {
  classification: [
    metric({ name: "accuracy", label: "accuracy" }),
    AGREEMENT,
    metric({
      name: "calibrationError",
      label: "calibration error",
      better: "lower",
      perEpoch: false,
      of: (evaluation) => (evaluation as Evaluation).calibration.error,
    }),
  ],
  regression: [
    metric({ name: "r2", label: "R2", kind: "number" }),
    metric({ name: "rmse", label: "RMSE", kind: "number", better: "lower" }),
    metric({ name: "mae", label: "MAE", kind: "number", better: "lower" }),
    { ...AGREEMENT, label: "R2 with the teacher's values", kind: "number" },
  ],
  "multi-label": [
    metric({ name: "averagePrecision", label: "average precision" }),
    metric({ name: "f1", label: "F1" }),
    AGREEMENT,
  ],
  vectors: [
    metric({ name: "retrieval", label: "retrieval agreement @10" }),
    metric({ name: "spearman", label: "Spearman of similarities", kind: "number" }),
    metric({ name: "cosine", label: "cosine", kind: "number" }),
    { ...AGREEMENT, label: "retrieval agreement @10 with the teacher" },
  ],
};

/** Of tasks with several targets, the metrics of each one. */
const PER_TARGET: Readonly<Partial<Record<TaskName, readonly Metric[]>>> = {
  regression: METRICS.regression.filter(({ name }) => name !== AGREEMENT.name),
  "multi-label": [
    ...METRICS["multi-label"].filter(({ name }) => name !== AGREEMENT.name),
    metric({ name: "precision", label: "precision" }),
    metric({ name: "recall", label: "recall" }),
    metric({ name: "support", label: "samples", kind: "count" }),
  ],
};

/** A table of the metrics of each target: the names of its columns, and its rows; null if there are none. */
export function targetTable(
  data: OfTask,
  { perTarget = [] }: TaskEvaluation,
  names: readonly string[],
): { columns: readonly string[]; rows: string[][] } | null {
  const columns = PER_TARGET[taskNameOf(data)] ?? [];
  if (columns.length === 0 || perTarget.length === 0) return null;
  const shown = (target: Readonly<Record<string, number>>) =>
    columns.map((one) => (target[one.name] === undefined ? "" : showMetric(one, target[one.name])));
  return {
    columns: columns.map(({ label }) => label),
    rows: perTarget.map((target, i) => [names[i] ?? String(i), ...shown(target)]),
  };
}

const ALL = Object.values(METRICS).flat();

/** The metrics of the task of a data set or of a result's data; of a classification if nothing is said. */
export function metricsOf(data?: OfTask): readonly [Metric, ...Metric[]] {
  return METRICS[taskNameOf(data ?? {})];
}

/** The agreement with a teacher, as the task has it. */
export function agreementOf(data?: OfTask): Metric {
  return metricsOf(data).find(({ name }) => name === AGREEMENT.name) ?? AGREEMENT;
}

/** The value of the metric that networks are compared by. */
export function mainMetric(data: OfTask | undefined, evaluation: TaskEvaluation): number {
  return metricsOf(data)[0].of(evaluation) ?? Number.NaN;
}

/** What an epoch's record calls a metric: `validationAccuracy`, and the agreement with a teacher by its name. */
export function epochKey({ name }: Metric): `validation${string}` {
  const key = name === AGREEMENT.name ? name : `validation${capitalized(name)}`;
  return key as `validation${string}`;
}

/** The teacher's metric in a student's evaluation, `teacherAccuracy`; undefined without a teacher. */
export function teachersMetric(data: OfTask | undefined, evaluation: TaskEvaluation): number | undefined {
  const [{ name }] = metricsOf(data);
  return numberIn(evaluation, `teacher${capitalized(name)}`);
}

/** What a result calls a metric of the test set: `testAccuracy`. */
export function testKey({ name }: Metric): `test${string}` {
  return `test${capitalized(name)}`;
}

/**
 * The metric that a record has, or a best epoch, by its name there; null for another number. The others tell the task.
 */
export function metricOfKey(key: string, record: Readonly<Record<string, unknown>> = {}): Metric | null {
  const own = Object.values(METRICS).find(([main]) => Object.hasOwn(record, epochKey(main)));
  return (own ?? ALL).find((one) => one.perEpoch && epochKey(one) === key) ?? null;
}

/** Whether an evaluation is of classes. */
export function isClassification(evaluation: TaskEvaluation): evaluation is Evaluation {
  return "confusion" in evaluation;
}

/** Whether a value of a metric is better than another one. */
export function isBetter({ better }: Metric, value: number, other: number): boolean {
  return better === "higher" ? value > other : value < other;
}

const DIGITS = 4;

/** A value as text: 90.18%, or 0.4523. */
export function showMetric({ kind }: Pick<Metric, "kind">, value: number): string {
  if (kind === "count") return String(value);
  return kind === "fraction" ? showPercent(value) : rounded(value);
}

/** How much values of a metric differ: in points of a percent, or the number; never `-0.00`. */
export function showChange({ kind }: Pick<Metric, "kind">, change: number): string {
  const text = kind === "fraction" ? (100 * change).toFixed(2) : rounded(change);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

/** The same with its sign. */
export function showSigned(metric: Pick<Metric, "kind">, change: number): string {
  const text = showChange(metric, change);
  return Number(text) > 0 ? `+${text}` : text;
}

/** What follows the number of a change in a sentence. */
export function unitOf({ kind }: Pick<Metric, "kind">): string {
  return kind === "fraction" ? " points" : "";
}

/** Four digits behind the point; of large numbers, such as errors in a column's unit, fewer. */
function rounded(value: number): string {
  const whole = Math.abs(value) < 1 ? 1 : Math.floor(Math.log10(Math.abs(value))) + 1;
  return value.toFixed(Math.max(0, Math.min(DIGITS, DIGITS + 1 - whole)));
}
