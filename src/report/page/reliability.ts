import type { Evaluation } from "../../train/evaluate.js";
import { percent } from "../text.js";
import { type Line, lineChart, type Point } from "./line_chart.js";

const LARGEST = 16;
const SMALLEST = 4;
const FEWEST = 10;

/** Someone's predictions, and how they look. */
export interface Judged extends Pick<Line, "name" | "colour" | "dash"> {
  evaluation: Evaluation;
}

/** How often the networks are right when they are that sure. */
export function reliabilityFigure(judged: readonly Judged[]): HTMLElement {
  const diagonal: Line = {
    name: "as sure as right",
    points: [
      [0, 0],
      [1, 1],
    ],
    colour: "--muted",
    dash: "dotted",
    silent: true,
  };
  const lines = judged.map(({ evaluation: { calibration }, ...look }) => ({
    ...look,
    points: pointsOf(calibration.bins),
  }));
  const errors = judged.map(({ name, evaluation }) => `${name} ${percent(evaluation.calibration.error, 1)}`).join(", ");
  const axis = { min: 0, max: 1, format: (x: number) => percent(x, 0), exact: (x: number) => percent(x, 1) };
  return lineChart({
    title: "Reliability",
    description: `How often an answer is right, by how sure the network is of it; below the dotted line it is too sure. Larger points stand for more samples; those of less than ${FEWEST} are left out. Expected calibration error: ${errors}.`,
    lines: [diagonal, ...lines],
    x: { name: "confidence", ...axis },
    y: { name: "accuracy", ...axis },
    className: "full-on-paper",
  });
}

function pointsOf(bins: Evaluation["calibration"]["bins"]): Point[] {
  const most = Math.max(...bins.map(({ count }) => count));
  return bins
    .filter(({ count }) => count >= FEWEST)
    .map(({ confidence, accuracy, count }) => [
      confidence,
      accuracy,
      SMALLEST + (LARGEST - SMALLEST) * Math.sqrt(count / most),
    ]);
}
