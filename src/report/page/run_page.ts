import type { RunReport } from "../report_data.js";
import { count, percent, short, times } from "../text.js";
import { runCurves } from "./curves.js";
import { hero, type Tile } from "./hero.js";
import { figures, predictionSections, section, smallFigures } from "./sections.js";
import { sizesFigure } from "./sizes.js";

/** The page of one run. */
export function runPage(report: RunReport): (HTMLElement | null)[] {
  const { predictions, history, best, sizes, config } = report;
  const network = config.command === "train-teacher" ? "network" : "student";
  const evaluated = predictions && [
    ...(predictions.teacher
      ? [{ name: "teacher", colour: "--teacher", dash: "dashed" as const, evaluation: predictions.teacher }]
      : []),
    { name: network, colour: "--student", evaluation: predictions.evaluation },
  ];
  return [
    hero(report, tilesOf(report)),
    section("How it went", smallFigures(runCurves(history, best))),
    ...(predictions && evaluated ? predictionSections(report, predictions, { network, evaluated }) : []),
    section("Against the teacher", sizes.teacher && figures(sizesFigure(sizes.student, sizes.teacher))),
  ];
}

function tilesOf({ predictions, sizes: { student, teacher } }: RunReport): Tile[] {
  if (predictions === null) return [];
  const { accuracy, agreement, calibration } = predictions.evaluation;
  const own: Tile = { name: `${predictions.part} accuracy`, value: percent(accuracy), colour: "--student" };
  const calibrationTile: Tile = { name: "calibration error", value: percent(calibration.error) };
  if (teacher === undefined || predictions.teacher === undefined) {
    const time =
      student.latencyMs === undefined ? [] : [{ name: "time for one sample", value: `${short(student.latencyMs)} ms` }];
    return [own, calibrationTile, { name: "parameters", value: count(student.parameters) }, ...time];
  }
  const fewer = `${times(teacher.parameters / student.parameters)}\u00d7`;
  return [
    own,
    { name: "the teacher's", value: percent(predictions.teacher.accuracy), colour: "--teacher" },
    calibrationTile,
    { name: "agreement", value: percent(agreement ?? Number.NaN), note: "with the teacher" },
    { name: "parameters", value: fewer, note: "fewer than the teacher's" },
  ];
}
