import { metricOfKey, showMetric } from "../tasks/metrics.js";
import { columns, cut, padded } from "./columns.js";
import type { Metrics } from "./epoch_record.js";

/** How far a run is. */
export interface RunningRun {
  name: string;
  /** From 1. */
  epoch: number;
  epochs: number;
  /** Of the last step. */
  loss: number;
  /** What the last epoch's record has beside; the first of its figures is shown. */
  figures: Metrics;
}

/**
 * The runs in progress, a line of at most `width` columns each, and at most `height` lines: the last one tells how many
 * have no place.
 */
export function runningLines(
  runs: readonly RunningRun[],
  { width, height }: { width: number; height: number },
): string[] {
  const texts = runs.map(textOf);
  const rest = Math.max(0, ...texts.map(columns));
  const longest = Math.min(Math.max(0, ...runs.map(({ name }) => columns(name))), width - rest - 4);
  const named = ({ name }: RunningRun) => {
    const text = longest < SHORTEST ? "" : cut(name, longest);
    return `  ${text}${" ".repeat(Math.max(0, longest - columns(text)))}`;
  };
  const lines = runs.map((run, i) => cut(`${named(run)}  ${texts[i]}`, width));
  if (lines.length <= height) return lines;
  const shown = Math.max(0, height - 1);
  return [...lines.slice(0, shown), ...(height < 1 ? [] : [cut(`  and ${lines.length - shown} more`, width)])];
}

/** Less of a name tells nothing. */
const SHORTEST = 4;

function textOf({ epoch, epochs, loss, figures }: RunningRun): string {
  const [metric] = Object.entries(figures).flatMap(([key, value]) => {
    const one = metricOfKey(key, figures);
    return one === null ? [] : [`  ${one.label} ${showMetric(one, value)}`];
  });
  return `epoch ${padded(epoch, epochs)}/${epochs}  loss ${loss.toFixed(4)}${metric ?? ""}`;
}
