import { showPercent } from "../../show.js";
import type { Evaluation, TaskEvaluation } from "../../tasks/evaluation.js";
import { isClassification } from "../../tasks/metrics.js";
import { type Line, lineChart, type Point } from "./line_chart.js";
import { NETWORK_STYLES } from "./series.js";

const LARGEST = 16;
const SMALLEST = 4;
const FEWEST = 10;

/** The predictions of a network, and how they are drawn. */
export interface Judged extends Pick<Line, "name" | "colour" | "dash"> {
  evaluation: TaskEvaluation;
}

/** The teacher; nothing if its predictions are not known. */
export function judgedTeacher(evaluation: TaskEvaluation | null | undefined): Judged[] {
  return evaluation ? [{ name: "teacher", ...NETWORK_STYLES.teacher, evaluation }] : [];
}

/** Accuracy of each network by its confidence: the reliability diagram. */
export function reliabilityFigure(judged: readonly Judged[]): HTMLElement {
  const evaluated = judged.flatMap(({ evaluation, ...style }) =>
    isClassification(evaluation) ? [{ evaluation, ...style }] : [],
  );
  const diagonal: Line = {
    name: "confidence equals accuracy",
    points: [
      [0, 0],
      [1, 1],
    ],
    colour: "--muted",
    dash: "dotted",
    silent: true,
  };
  const lines = evaluated.map(({ evaluation: { calibration }, ...style }) => ({
    ...style,
    points: pointsOf(calibration.bins),
  }));
  const errors = evaluated
    .map(({ name, evaluation }) => `${name} ${showPercent(evaluation.calibration.error, 1)}`)
    .join(", ");
  const axis = { min: 0, max: 1, format: (x: number) => showPercent(x, 0), exact: (x: number) => showPercent(x, 1) };
  return lineChart({
    title: "Reliability",
    description: `Accuracy by confidence; below the diagonal the network is overconfident. Larger points have more samples; those of less than ${FEWEST} are left out. Expected calibration error: ${errors}.`,
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
