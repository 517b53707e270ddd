import { showCount } from "../../show.js";
import { agreementOf, mainMetric, metricsOf, showMetric } from "../../tasks/metrics.js";
import type { HeldOutPredictions, RunReport } from "../report_data.js";
import { compared, short } from "../text.js";
import { runCurves, stepCurves } from "./curves.js";
import { hero, type Tile } from "./hero.js";
import { type Judged, judgedTeacher } from "./reliability.js";
import { figures, predictionSections, section, smallFigures } from "./sections.js";
import { sizesFigure } from "./sizes.js";

/** The page of one run. */
export function runPage(report: RunReport): (HTMLElement | null)[] {
  const { predictions, history, steps, best, sizes, config } = report;
  const network = config.command === "train-teacher" ? "network" : "student";
  const evaluated = predictions && [
    ...judgedTeacher(predictions.teacher),
    { name: network, colour: "--student", evaluation: predictions.evaluation },
    ...(predictions.calibrated ? [calibratedTeacher(predictions.calibrated)] : []),
  ];
  return [
    hero(report, tilesOf(report)),
    section(
      "How it went",
      smallFigures([...runCurves(report, history, best), ...stepCurves(steps, config.maxGradNorm)]),
    ),
    ...(predictions && evaluated ? predictionSections(report, predictions, { network, evaluated }) : []),
    section("Against the teacher", sizes.teacher && figures(sizesFigure(sizes.student, sizes.teacher))),
  ];
}

/** The teacher that the student learned from. */
function calibratedTeacher({ temperature, teacher }: NonNullable<HeldOutPredictions["calibrated"]>): Judged {
  const name = `calibrated teacher (logits / ${Number(temperature.toPrecision(3))})`;
  return { name, colour: "--other", dash: "dotted", evaluation: teacher };
}

function tilesOf(report: RunReport): Tile[] {
  const {
    predictions,
    sizes: { student, teacher },
  } = report;
  if (predictions === null) return [];
  const { evaluation } = predictions;
  const [metric, ...others] = metricsOf(report);
  const shown = (value: number) => showMetric(metric, value);
  const own: Tile = {
    name: `${predictions.part} ${metric.label}`,
    value: shown(mainMetric(report, evaluation)),
    colour: "--student",
  };
  const more = others.flatMap((one): Tile[] => {
    const value = one.of(evaluation);
    return one.name === "agreement" || value === undefined ? [] : [{ name: one.label, value: showMetric(one, value) }];
  });
  const agreement = agreementOf(report);
  if (teacher === undefined || predictions.teacher === undefined) {
    const time =
      student.latencyMs === undefined ? [] : [{ name: "time for one sample", value: `${short(student.latencyMs)} ms` }];
    return [own, ...more, { name: "parameters", value: showCount(student.parameters) }, ...time];
  }
  const words = ["\u00d7 fewer", "\u00d7 more", "as many"] as const;
  return [
    own,
    { name: "the teacher's", value: shown(mainMetric(report, predictions.teacher)), colour: "--teacher" },
    ...more,
    {
      name: "agreement",
      value: showMetric(agreement, agreement.of(evaluation) ?? Number.NaN),
      note: "with the teacher",
    },
    {
      name: "parameters",
      value: compared(teacher.parameters / student.parameters, words),
      note: "against the teacher",
    },
  ];
}
