import { cut, type Forms, fitLine, type Paint } from "./fit_line.js";
import { formatSeconds } from "./time_left.js";

/** A step of a training run. */
export interface StepProgress {
  /** The epoch that the step belongs to, from 1. */
  epoch: number;
  /** Steps made, of all. */
  step: number;
  steps: number;
  loss: number;
  /** Of a distillation: the loss's two parts. */
  soft?: number;
  hard?: number;
  lr: number;
  samplesPerSecond: number;
}

/** How far several runs are that count as one. */
export interface OverallProgress {
  /** Steps made, of all. */
  done: number;
  total: number;
  /** What runs. */
  text: string;
}

/** What gives way first on a narrow terminal; what is named again gives way once more. */
const SHORTEN = "speed lr gap step epoch loss parts left speed lr parts left loss epoch".split(" ");

/** Columns of an overall line that its text does not have. */
const OVERALL_REST = 24;

/** Epoch, step, seconds left, losses, learning rate and speed, in at most `width` columns. */
export function stepLine(
  { epoch, step, steps, loss, soft, hard, lr, samplesPerSecond }: StepProgress,
  { epochs, left, width, paint }: { epochs: number; left: number | null; width: number; paint: Paint },
): string {
  const parts = (digits: number) =>
    soft === undefined || hard === undefined ? "" : `soft ${soft.toFixed(digits)} hard ${hard.toFixed(digits)}`;
  const place = `${padded(epoch, epochs)}/${epochs}`;
  const forms = {
    percent: [percentDone(step / steps)],
    epoch: [`epoch ${place}`, place, ""],
    step: [`step ${padded(step, steps)}/${steps}`, ""],
    left: timeLeft(left),
    loss: [`loss ${loss.toFixed(4)}`, `loss ${loss.toFixed(3)}`, ""],
    parts: [parts(4), parts(3), ""],
    lr: [`lr ${lr.toFixed(6)}`, `lr ${lr.toExponential(1)}`, ""],
    speed: [`${Math.round(samplesPerSecond).toLocaleString("en-US")} samples/s`, `${short(samplesPerSecond)}/s`, ""],
  };
  return fitLine(step / steps, forms, SHORTEN, width, paint);
}

/** Seconds left and what is running, in at most `width` columns. */
export function overallLine(
  { done, total, text }: OverallProgress,
  { left, width, paint }: { left: number | null; width: number; paint: Paint },
): string {
  const share = total > 0 ? done / total : 0;
  const forms = {
    percent: [percentDone(share)],
    left: timeLeft(left),
    text: [cut(text, width), cut(text, width - OVERALL_REST), ""],
  };
  return fitLine(share, forms, ["gap", "text", "left", "text", "left"], width, paint);
}

function percentDone(share: number): string {
  return `${String(Math.floor(100 * share)).padStart(2)}%`;
}

function timeLeft(seconds: number | null): Forms {
  const text = seconds === null ? "-:--" : formatSeconds(seconds);
  return [`${text} left`, text, ""];
}

/** As wide as the largest number will be, so that the line stands still. */
function padded(value: number, largest: number): string {
  return String(value).padStart(String(largest).length);
}

/** Three digits: 950, 12.3k, 1.20M. */
function short(value: number): string {
  if (value < 999.5) return value.toFixed(0);
  const [unit, scaled] = value < 999_500 ? ["k", value / 1e3] : ["M", value / 1e6];
  return `${scaled.toPrecision(3)}${unit}`;
}
