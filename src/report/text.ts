// How figures are written, in the report's sentences and on its page alike.

import { showCount } from "../show.js";
import { type Metric, showSigned } from "../tasks/metrics.js";

/** A difference of shares in points of a percent, with its sign: 0.0055 as +0.55. */
export function points(difference: number, digits = 2): string {
  const text = Math.abs(100 * difference).toFixed(digits);
  // A minus sign as wide as the plus.
  return Number(text) === 0 ? text : `${difference < 0 ? "\u2212" : "+"}${text}`;
}

/** A sentence with minus signs as wide as the plus. */
export function withMinusSigns(text: string): string {
  return text.replaceAll(/(?<=[\s(])-(?=\d)/g, "\u2212");
}

/** 1 epoch, 12 epochs. */
export function counted(n: number, name: string, plural = `${name}s`): string {
  return `${showCount(n)} ${n === 1 ? name : plural}`;
}

/** 1st, 2nd, 12th, 512th, 1022nd. */
export function ordinal(n: number): string {
  const ending = Math.floor(n / 10) % 10 === 1 ? undefined : ["st", "nd", "rd"][(n % 10) - 1];
  return `${n}${ending ?? "th"}`;
}

/** How many times as much: 7.9, 12. */
export function times(ratio: number): string {
  return ratio.toFixed(ratio < 10 ? 1 : 0);
}

/**
 * A ratio in words: what follows its number if it is above or below 1, and the words for one that rounds to 1. For
 * example "7.9× smaller", "2.0× larger", "as large".
 */
export function compared(ratio: number, [above, below, equal]: readonly [string, string, string]): string {
  const factor = times(Math.max(ratio, 1 / ratio));
  return factor === "1.0" ? equal : `${factor}${ratio > 1 ? above : below}`;
}

/** How many parameters a student has, by its teacher's divided by its own. */
export function fewer(ratio: number): string {
  return compared(ratio, [" times fewer", " times more", "as many"]);
}

/** Three digits that count: 0.0123, 1.23, 123. */
export function short(x: number): string {
  if (x === 0 || !Number.isFinite(x)) return String(x);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(x))));
  return digits > 6 ? x.toExponential(2) : x.toFixed(digits);
}

/** A p-value: "= 0.031", or "below 0.001". */
export function pValue(p: number): string {
  return p < 0.001 ? "below 0.001" : `= ${p.toFixed(3)}`;
}

/** A change with its sign, of a share as {@link points} writes it. */
export function changeOf(metric: Pick<Metric, "kind">, change: number): string {
  return metric.kind === "fraction" ? points(change) : showSigned(metric, change);
}
