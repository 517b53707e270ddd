import type { RunReport } from "../report_data.js";
import { count, percent, short, times } from "../text.js";
import { runCurves } from "./curves.js";
import { hero, type Tile } from "./hero.js";
import { answerSections, figures, section, smallFigures } from "./sections.js";
import { sizesFigure } from "./sizes.js";

/** The page of one run. */
export function runPage(report: RunReport): (HTMLElement | null)[] {
  const { answers, history, best, sizes, config } = report;
  const network = config.command === "train-teacher" ? "network" : "student";
  const judged = answers && [
    ...(answers.teacher
      ? [{ name: "teacher", colour: "--teacher", dash: "dashed" as const, evaluation: answers.teacher }]
      : []),
    { name: network, colour: "--student", evaluation: answers.evaluation },
  ];
  return [
    hero(report, tilesOf(report)),
    section("How it went", smallFigures(runCurves(history, best))),
    ...(answers && judged ? answerSections(report, answers, { network, judged }) : []),
    section("Against the teacher", sizes.teacher && figures(sizesFigure(sizes.student, sizes.teacher))),
  ];
}

function tilesOf({ answers, sizes: { student, teacher } }: RunReport): Tile[] {
  if (answers === null) return [];
  const { accuracy, agreement, calibration } = answers.evaluation;
  const own: Tile = { name: `${answers.part} accuracy`, value: percent(accuracy), colour: "--student" };
  const sure: Tile = { name: "calibration error", value: percent(calibration.error) };
  if (teacher === undefined || answers.teacher === undefined) {
    const time =
      student.latencyMs === undefined
        ? []
        : [{ name: "time for one example", value: `${short(student.latencyMs)} ms` }];
    return [own, sure, { name: "parameters", value: count(student.parameters) }, ...time];
  }
  const fewer = `${times(teacher.parameters / student.parameters)}\u00d7`;
  return [
    own,
    { name: "the teacher's", value: percent(answers.teacher.accuracy), colour: "--teacher" },
    sure,
    { name: "agreement", value: percent(agreement ?? Number.NaN), note: "with the teacher" },
    { name: "parameters", value: fewer, note: "fewer than the teacher's" },
  ];
}
