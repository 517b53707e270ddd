import type { EpochRecord } from "../../log/epoch_record.js";
import { capitalized, showPercent } from "../../show.js";
import { agreementOf, epochKey, type Metric, metricsOf, showMetric } from "../../tasks/metrics.js";
import type { RunReport } from "../report_data.js";
import { counted, ordinal } from "../text.js";
import { type Axis, type Line, type LineChartOptions, lineChart, type Point } from "./line_chart.js";
import { lineOf, linesOf, lossMetrics, type MetricKey, metricOf, NETWORK_STYLES, rangeOf } from "./series.js";

const LOSS: Axis = { name: "loss", format: plain, exact: (x) => x.toFixed(4) };
const FRACTION: Axis = {
  name: "share",
  format: (x) => `${plain(100 * x)}%`,
  exact: (x) => showPercent(x),
  ofOne: [0, 1],
};
/** The axis of a metric's values. */
const axisOf = (metric: Metric): Axis =>
  metric.kind === "fraction" ? FRACTION : { name: metric.label, format: plain, exact: (x) => showMetric(metric, x) };
const NORM: Axis = { name: "gradient norm", format: plain, exact: (x) => String(x) };
type OfTask = Parameters<typeof metricsOf>[0];
const WIDE = 50;
const STUDENT_LOSS = /^(student-\d+)\.loss$/;
const RATE: Axis = { name: "learning rate", format: rate, exact: (x) => x.toFixed(6) };

/** How one run went: loss with its own metrics, accuracy and agreement on the validation set, learning rate. */
export function runCurves(
  data: OfTask,
  history: readonly EpochRecord[],
  best: { epoch: number } | null,
): HTMLElement[] {
  const [metric] = metricsOf(data);
  const line = (key: MetricKey, name: string, colour: string, dash?: Line["dash"]) =>
    lineOf(history, key, { name, colour, dash });
  const all = lossMetrics(history);
  // If several students teach each other, each one's own loss has terms too.
  const ofStudents = all.filter((name) => STUDENT_LOSS.test(name));
  const parts = ofStudents.length > 0 ? ofStudents : all;
  const losses = [
    ...line("loss", parts.length > 0 ? "total" : "training", "--student"),
    ...parts.flatMap((name, i) => line(name, name, "--student", i % 2 === 0 ? "dashed" : "dotted")),
    ...line("validationLoss", "validation", "--other"),
  ];
  const key = epochKey(metric);
  const shares = [
    ...line(key, ofStudents.length > 0 ? "together" : metric.label, "--student"),
    ...ofStudents.flatMap((name, i) => {
      const student = name.replace(STUDENT_LOSS, "$1");
      return line(`${student}.${key}`, student, "--other", i % 2 === 0 ? "dashed" : "dotted");
    }),
    ...line("agreement", "agreement with the teacher", "--other", "dashed"),
  ];
  const [first, last] = [history[0], history.at(-1)];
  if (first === undefined || last === undefined) return [];
  const went = first === last ? "was" : `went from ${first.metrics.loss?.toFixed(4)} to`;
  const lossText = `Training loss ${went} ${last.metrics.loss?.toFixed(4)} after ${counted(history.length, "epoch")}.`;
  const note = parts.length > 0 ? ` Its parts: ${parts.join(", ")}.` : "";
  const bestText = best === null ? "" : ` It was best in epoch ${best.epoch}.`;
  return [
    chart("Loss", lossText + note, losses, LOSS),
    chart(`${capitalized(metric.label)} on the validation set`, `After each epoch.${bestText}`, shares, axisOf(metric)),
    chart("Learning rate", "After each epoch's last step.", line("lr", "learning rate", "--student"), RATE),
  ].flat();
}

/** Loss and gradient norm by step. */
export function stepCurves(steps: RunReport["steps"], maxGradNorm: unknown): HTMLElement[] {
  const [first, second] = steps;
  if (first === undefined || second === undefined) return [];
  const every = second.step - first.step;
  const each = every === 1 ? "Each step." : `Each ${ordinal(every)} step.`;
  const line = (name: string, of: (step: RunReport["steps"][number]) => number) => [
    { name, colour: "--student", points: steps.map((step): Point => [step.step, of(step)]) },
  ];
  const clipped = steps.filter(({ gradNorm }) => gradNorm > Number(maxGradNorm)).length;
  const text =
    typeof maxGradNorm === "number"
      ? ` Before it was clipped to ${maxGradNorm}, as in ${showPercent(clipped / steps.length, 0)} of them.`
      : "";
  return [
    ...chart(
      "Loss by step",
      each,
      line("loss", ({ loss }) => loss),
      LOSS,
      "step",
    ),
    ...chart(
      "Gradient norm by step",
      each + text,
      line("gradient norm", ({ gradNorm }) => gradNorm),
      NORM,
      "step",
    ),
  ];
}

/** How the runs of a comparison went: a thin line a seed, their mean thick. */
export function compareCurves(
  data: OfTask,
  runs: { baseline: readonly EpochRecord[][]; distilled: readonly EpochRecord[][] },
  teacher: readonly EpochRecord[],
  seeds: readonly number[],
): HTMLElement[] {
  const [metric] = metricsOf(data);
  const key = epochKey(metric);
  const both = (key: MetricKey) => [
    ...linesOf(runs.baseline, key, { name: "baseline", ...NETWORK_STYLES.baseline }, seeds),
    ...linesOf(runs.distilled, key, { name: "distilled", colour: "--student" }, seeds),
  ];
  const ofTeacher = (key: MetricKey) => lineOf(teacher, key, { name: "teacher", ...NETWORK_STYLES.teacher });
  const distilled = (key: MetricKey) => linesOf(runs.distilled, key, { name: "distilled", colour: "--student" }, seeds);
  const each = seeds.length > 1 ? "A thin line for each seed, their mean thick." : "After each epoch.";
  const rates = [...lineOf(runs.distilled[0] ?? [], "lr", { name: "learning rate", colour: "--student" })];
  return [
    chart(
      `${capitalized(metric.label)} on the validation set`,
      each,
      [...both(key), ...ofTeacher(key)],
      axisOf(metric),
    ),
    chart(
      "Loss on the validation set",
      `${lossText(metric)}${each}`,
      [...both("validationLoss"), ...ofTeacher("validationLoss")],
      LOSS,
    ),
    chart(
      "Training loss",
      `What each was trained with: two losses, not to be compared by value. ${each}`,
      both("loss"),
      LOSS,
    ),
    ...lossMetrics(runs.distilled.flat()).map((name) =>
      chart(`${name} in training`, `As the distilled student's loss reports it. ${each}`, distilled(name), LOSS),
    ),
    chart(
      "Agreement with the teacher",
      metric.name === "accuracy" ? `The share of the validation set that both classify alike. ${each}` : each,
      both("agreement"),
      axisOf(agreementOf(data)),
    ),
    chart("Learning rate", "The same for both, after each epoch's last step.", rates, RATE),
  ].flat();
}

/** The points of a sweep: each thin, the best one thick. */
export function sweepCurves(
  data: OfTask,
  points: readonly { name: string; history: readonly EpochRecord[]; best: boolean }[],
): HTMLElement[] {
  const lines = (key: MetricKey) => [
    ...points
      .filter(({ best }) => !best)
      .flatMap(({ name, history }) => lineOf(history, key, { name, colour: "--teacher", faint: true })),
    ...points
      .filter(({ best }) => best)
      .flatMap(({ name, history }) => lineOf(history, key, { name, colour: "--student" })),
  ];
  const each = "The best point thick, every other one thin.";
  const [metric] = metricsOf(data);
  return [
    chart(`${capitalized(metric.label)} on the validation set`, each, lines(epochKey(metric)), axisOf(metric)),
    chart("Loss on the validation set", `${lossText(metric)}${each}`, lines("validationLoss"), LOSS),
  ].flat();
}

/** What the loss on the validation set is. */
function lossText({ name }: Metric): string {
  return name === "accuracy" ? "Cross-entropy. " : "";
}

function chart(title: string, description: string, lines: readonly Line[], y: Axis, x = "epoch"): HTMLElement[] {
  return lines.length === 0 ? [] : [lineChart(over(x, title, description, lines, y))];
}

/** Any value of an epoch's record, over the epochs of several runs; `record`: one that has it. */
export function metricCurve(
  key: MetricKey,
  record: Pick<EpochRecord, "metrics">,
  lines: readonly Line[],
): LineChartOptions {
  if (key === "lr") return overEpochs("Learning rate", "After each epoch's last step.", lines, RATE);
  if (key === "loss") return overEpochs("Training loss", "What each run is trained with.", lines, LOSS);
  const { metric: own, of } = metricOf(key, record.metrics);
  if (key === "validationLoss") return overEpochs("Loss on the validation set", "After each epoch.", lines, LOSS);
  if (own === null) return overEpochs(`${key} in training`, "As the loss reports it.", lines, LOSS);
  const title = `${capitalized(own.label)} on the validation set${of === null ? "" : `, ${of}`}`;
  return overEpochs(title, "After each epoch.", lines, axisOf(own));
}

function overEpochs(title: string, description: string, lines: readonly Line[], y: Axis): LineChartOptions {
  return over("epoch", title, description, lines, y);
}

function over(name: string, title: string, description: string, lines: readonly Line[], y: Axis): LineChartOptions {
  const places = lines.flatMap(({ points }) => points.map(([at]) => at));
  const [first, last] = rangeOf(places);
  const x = {
    name,
    format: String,
    ...(last > first ? { min: first, max: last } : { min: first - 1, max: first + 1 }),
  };
  const log = (y === LOSS || y === NORM) && isWide(lines.flatMap(({ points }) => points.map(([, value]) => value)));
  const text = log ? `${description} The scale is logarithmic.` : description;
  return { title, description: text, lines, x, y: { ...y, log } };
}

/** Whether most of the lines would lie flat at the bottom of an even scale. */
function isWide(values: readonly number[]): boolean {
  const [least, most] = rangeOf(values);
  return least > 0 && most / least > WIDE;
}

/** As few digits as tell it: 0.3, 85, 87.5. */
function plain(x: number): string {
  return String(Number(x.toPrecision(6)));
}

function rate(x: number): string {
  return x === 0 ? "0" : Number(x.toPrecision(2)).toExponential().replace("e-", "e\u2212");
}
