import type { EpochRecord } from "../../log/epoch_record.js";
import { counted, percent } from "../text.js";
import { type Axis, type Line, lineChart } from "./line_chart.js";
import { lineOf, linesOf, lossMetrics, type Metric } from "./series.js";

const LOSS: Axis = { name: "loss", format: plain, exact: (x) => x.toFixed(4) };
const SHARE: Axis = { name: "share", format: (x) => `${plain(100 * x)}%`, exact: (x) => percent(x) };
const WIDE = 50;
const RATE: Axis = { name: "learning rate", format: rate, exact: (x) => x.toFixed(6) };

/** How one run went: loss with its own metrics, accuracy and agreement on the validation set, learning rate. */
export function runCurves(history: readonly EpochRecord[], best: { epoch: number } | null): HTMLElement[] {
  const line = (metric: Metric, name: string, colour: string, dash?: Line["dash"]) =>
    lineOf(history, metric, { name, colour, ...(dash && { dash }) });
  const parts = lossMetrics(history);
  const losses = [
    ...line("loss", parts.length > 0 ? "total" : "training", "--student"),
    ...parts.flatMap((name, i) =>
      i % 2 === 0 ? line(name, name, "--teacher", "dashed") : line(name, name, "--baseline", "dotted"),
    ),
    ...line("validationLoss", "validation", "--other"),
  ];
  const shares = [
    ...line("validationAccuracy", "accuracy", "--student"),
    ...line("agreement", "agreement with the teacher", "--teacher", "dashed"),
  ];
  const [first, last] = [history[0], history.at(-1)];
  if (first === undefined || last === undefined) return [];
  const went = first === last ? "was" : `went from ${first.metrics.loss?.toFixed(4)} to`;
  const lossText = `Training loss ${went} ${last.metrics.loss?.toFixed(4)} after ${counted(history.length, "epoch")}.`;
  const note = parts.length > 0 ? ` The loss itself reports ${parts.join(", ")}.` : "";
  const bestText = best === null ? "" : ` It was best in epoch ${best.epoch}.`;
  return [
    chart("Loss", lossText + note, losses, LOSS),
    chart("Accuracy on the validation set", `After each epoch.${bestText}`, shares, SHARE),
    chart("Learning rate", "After each epoch's last step.", line("lr", "learning rate", "--student"), RATE),
  ].flat();
}

/** How the runs of a comparison went: a thin line a seed, their mean thick. */
export function compareCurves(
  runs: { baseline: readonly EpochRecord[][]; distilled: readonly EpochRecord[][] },
  teacher: readonly EpochRecord[],
  seeds: readonly number[],
): HTMLElement[] {
  const both = (metric: Metric) => [
    ...linesOf(runs.baseline, metric, { name: "baseline", colour: "--baseline", dash: "dashed" }, seeds),
    ...linesOf(runs.distilled, metric, { name: "distilled", colour: "--student" }, seeds),
  ];
  const ofTeacher = (metric: Metric) =>
    lineOf(teacher, metric, { name: "teacher", colour: "--teacher", dash: "dotted" });
  const distilled = (metric: Metric) =>
    linesOf(runs.distilled, metric, { name: "distilled", colour: "--student" }, seeds);
  const each = seeds.length > 1 ? "A thin line for each seed, their mean thick." : "After each epoch.";
  const rates = [...lineOf(runs.distilled[0] ?? [], "lr", { name: "learning rate", colour: "--student" })];
  return [
    chart(
      "Accuracy on the validation set",
      each,
      [...both("validationAccuracy"), ...ofTeacher("validationAccuracy")],
      SHARE,
    ),
    chart(
      "Loss on the validation set",
      `Cross-entropy. ${each}`,
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
      `The share of the validation set that both classify alike. ${each}`,
      both("agreement"),
      SHARE,
    ),
    chart("Learning rate", "The same for both, after each epoch's last step.", rates, RATE),
  ].flat();
}

/** The points of a sweep: each thin, the best one thick. */
export function sweepCurves(
  points: readonly { name: string; history: readonly EpochRecord[]; best: boolean }[],
): HTMLElement[] {
  const lines = (metric: Metric) => [
    ...points
      .filter(({ best }) => !best)
      .flatMap(({ name, history }) => lineOf(history, metric, { name, colour: "--teacher", faint: true })),
    ...points
      .filter(({ best }) => best)
      .flatMap(({ name, history }) => lineOf(history, metric, { name, colour: "--student" })),
  ];
  const each = "The best point thick, every other one thin.";
  return [
    chart("Accuracy on the validation set", each, lines("validationAccuracy"), SHARE),
    chart("Loss on the validation set", `Cross-entropy. ${each}`, lines("validationLoss"), LOSS),
  ].flat();
}

function chart(title: string, description: string, lines: readonly Line[], y: Axis): HTMLElement[] {
  if (lines.length === 0) return [];
  const epochs = lines.flatMap(({ points }) => points.map(([epoch]) => epoch));
  const [first, last] = [Math.min(...epochs), Math.max(...epochs)];
  const x = {
    name: "epoch",
    format: String,
    ...(last > first ? { min: first, max: last } : { min: first - 1, max: first + 1 }),
  };
  const log = y === LOSS && isWide(lines.flatMap(({ points }) => points.map(([, value]) => value)));
  const text = log ? `${description} The scale is logarithmic.` : description;
  return [lineChart({ title, description: text, lines, x, y: { ...y, log } })];
}

/** Whether most of the lines would lie flat at the bottom of an even scale. */
function isWide(values: readonly number[]): boolean {
  const least = Math.min(...values);
  return least > 0 && Math.max(...values) / least > WIDE;
}

/** As few digits as tell it: 0.3, 85, 87.5. */
function plain(x: number): string {
  return String(Number(x.toPrecision(6)));
}

function rate(x: number): string {
  return x === 0 ? "0" : Number(x.toPrecision(2)).toExponential().replace("e-", "e\u2212");
}
