import { showCount } from "../show.js";
import { columns, cut, padded } from "./columns.js";
import type { Metrics } from "./epoch_record.js";
import type { RunningRun } from "./running_lines.js";
import { formatSeconds } from "./time_left.js";

/** What a progress line shows of a training step. */
export interface StepProgress {
  /** The epoch that the step belongs to, from 1. */
  epoch: number;
  /** Steps made since the run began, this one included. */
  step: number;
  /** Steps of the whole run. */
  steps: number;
  /** `loss`, and the loss's own metrics: for the default loss `soft` and `hard`, its parts before they are weighted. */
  metrics: Metrics;
  /** The learning rate after the step. */
  lr: number;
  /** The mean over the epoch so far. */
  samplesPerSecond: number;
}

/** How far a run or an experiment is with what it does beside its steps. */
export interface WorkProgress {
  /** Such as `teacher logits` and `test set`. */
  work: string;
  /** Parts of it, of all; 0 when it begins. */
  done: number;
  total: number;
}

/** The progress of several runs that count as one. */
export interface OverallProgress {
  /** Steps made, of all. */
  done: number;
  total: number;
  text: string;
  /** Those in progress. */
  runs?: readonly RunningRun[];
}

/** A part of a line in its forms, the longest first; an empty form leaves it out. */
type Forms = readonly string[];

/** Gives a bar's two pieces their colours. */
export type Paint = (done: string, left: string) => string;

/** The parts that take a shorter form on a narrow terminal, in order; a part that is named again is shortened again. */
const SHORTEN = "speed lr gap step epoch loss details left speed lr details left loss epoch".split(" ");

/** Columns of an overall line beside its text. */
const OVERALL_REST = 24;

/** Epoch, step, seconds left, metrics, learning rate and speed, in at most `width` columns. */
export function stepLine(
  { epoch, step, steps, metrics, lr, samplesPerSecond }: StepProgress,
  { epochs, left, width, paint }: { epochs: number; left: number | null; width: number; paint: Paint },
): string {
  const { loss = Number.NaN, ...own } = metrics;
  const details = (digits: number) =>
    Object.entries(own)
      .map(([name, value]) => `${name} ${value.toFixed(digits)}`)
      .join(" ");
  const place = `${padded(epoch, epochs)}/${epochs}`;
  const forms = {
    percent: [percentDone(step / steps)],
    epoch: [`epoch ${place}`, place, ""],
    step: [`step ${padded(step, steps)}/${steps}`, ""],
    left: timeLeft(left),
    loss: [`loss ${loss.toFixed(4)}`, `loss ${loss.toFixed(3)}`, ""],
    details: [details(4), details(3), ""],
    lr: [`lr ${lr.toFixed(6)}`, `lr ${lr.toExponential(1)}`, ""],
    speed: [`${showCount(Math.round(samplesPerSecond))} samples/s`, `${short(samplesPerSecond)}/s`, ""],
  };
  return fitLine(step / steps, forms, SHORTEN, width, paint);
}

/** Seconds left and what is running, in at most `width` columns. */
export function overallLine(
  { done, total, text }: OverallProgress,
  { left, width, paint }: { left: number | null; width: number; paint: Paint },
): string {
  const fraction = total > 0 ? done / total : 0;
  const forms = {
    percent: [percentDone(fraction)],
    left: timeLeft(left),
    text: [cut(text, width), cut(text, width - OVERALL_REST), ""],
  };
  return fitLine(fraction, forms, ["gap", "text", "left", "text", "left"], width, paint);
}

function percentDone(fraction: number): string {
  return `${String(Math.floor(100 * fraction)).padStart(2)}%`;
}

function timeLeft(seconds: number | null): Forms {
  const text = seconds === null ? "-:--" : formatSeconds(seconds);
  return [`${text} left`, text, ""];
}

/** Three digits: 950, 12.3k, 1.20M. */
function short(value: number): string {
  if (value < 999.5) return value.toFixed(0);
  const [unit, scaled] = value < 999_500 ? ["k", value / 1e3] : ["M", value / 1e6];
  return `${scaled.toPrecision(3)}${unit}`;
}

const BAR = { least: 4, most: 30 } as const;
const GAPS: Forms = [" | ", " "];

/**
 * A line of at most `width` columns: a bar of the fraction that is done, and the parts in their order. If that is too
 * long, they take their next forms one after the other, as `shorten` names them ("gap" is the separator of two parts).
 */
function fitLine(
  fraction: number,
  parts: Readonly<Record<string, Forms>>,
  shorten: readonly string[],
  width: number,
  paint: Paint,
): string {
  const forms: Record<string, Forms> = { ...parts, gap: GAPS };
  const joined = () => {
    const shown = Object.keys(parts).map((name) => forms[name]?.[0] ?? "");
    return shown.filter((part) => part !== "").join(forms.gap?.[0]);
  };
  for (const name of shorten) {
    if (BAR.least + 1 + columns(joined()) <= width) break;
    forms[name] = forms[name]?.slice(1) ?? [];
  }
  const text = joined();
  const length = Math.min(BAR.most, width - columns(text) - 1);
  if (length < 1) return cut(text, width);
  const done = Math.floor(length * Math.min(1, Math.max(0, fraction)));
  return `${paint("━".repeat(done), "─".repeat(length - done))} ${text}`;
}
