import type { ComparedBehaviour, ScaledCalibration } from "../../compare/behaviour.js";
import type { SampleStats } from "../../compare/statistics.js";
import { type Content, h } from "../../page/dom.js";
import { showCount } from "../../show.js";
import { showMetric } from "../../tasks/metrics.js";
import { changeOf, counted } from "../text.js";
import { intervalCell, pCell, spreadCell } from "./cells.js";
import { figure } from "./figure.js";
import { figures } from "./sections.js";
import { table } from "./table.js";

const FRACTION = { kind: "fraction" } as const;

/**
 * What distilling changed besides accuracy: how closely the students follow the teacher, by sample and by class.
 */
export function behaviourFigures(changes: ComparedBehaviour, names: readonly string[]): HTMLElement | null {
  return figures(
    fidelityFigure(changes),
    flipsFigure(changes),
    calibrationFigure(changes),
    classesFigure(changes, names),
  );
}

function fidelityFigure({ fidelity: { baseline, distilled } }: ComparedBehaviour): HTMLElement | null {
  const row = (name: string, part: "test" | "training", of: "agreement" | "divergence"): Content[][] => {
    const [before, now] = [baseline[part]?.[of], distilled[part]?.[of]];
    if (before === undefined || now === undefined) return [];
    const text = (stats: SampleStats) => (of === "agreement" ? share(stats) : stats.mean.toFixed(4));
    return [[name, text(before), text(now)]];
  };
  const rows = [
    ...row("agreement, training data", "training", "agreement"),
    ...row("agreement, test set", "test", "agreement"),
    ...row("divergence, training data", "training", "divergence"),
    ...row("divergence, test set", "test", "divergence"),
  ];
  if (rows.length === 0) return null;
  return figure({
    title: "Fidelity to the teacher",
    description:
      "The share of samples that student and teacher classify alike, right or wrong; and KL(teacher || student) of their probabilities at temperature 1, less is closer. If they differ on training data already, longer training helps more than more data.",
    content: [
      table({
        caption: "Fidelity to the teacher",
        columns: ["", "baseline", "distilled"],
        rows,
      }),
    ],
  });
}

function flipsFigure({ flips }: ComparedBehaviour): HTMLElement {
  const row = (name: string, of: typeof flips.teacher): Content[][] =>
    of === null ? [] : [[name, share(of.gained), share(of.lost)]];
  return figure({
    title: "Flips",
    description:
      "Shares of the test samples on which the distilled student is right where another network is wrong (gained), and wrong where that one is right (lost).",
    content: [
      table({
        caption: "Test samples that change sides",
        columns: ["against", "gained", "lost"],
        rows: [...row("baseline student", flips.baseline), ...row("teacher", flips.teacher)],
      }),
    ],
  });
}

function calibrationFigure({ calibration }: ComparedBehaviour): HTMLElement {
  const { teacher, baseline, distilled } = calibration;
  const row = (name: string, of: ScaledCalibration | null): Content[][] =>
    of === null
      ? []
      : [
          [
            name,
            share(of.error),
            of.temperature?.mean.toFixed(2) ?? "none fits",
            of.scaledError ? share(of.scaledError) : "",
          ],
        ];
  return figure({
    title: "Calibration, before and after temperature scaling",
    description:
      "The calibration error on the test set as the networks are, and after their logits were divided by the temperature that fits the validation set best: above 1 for a network that is too sure, below 1 for one that is not sure enough. An error that one number removes is no reason to prefer a student.",
    content: [
      table({
        caption: "Calibration error",
        columns: ["", "error", "temperature", "error, scaled"],
        rows: [...row("teacher", teacher), ...row("baseline", baseline), ...row("distilled", distilled)],
      }),
    ],
    className: "wide",
  });
}

function classesFigure({ perClass }: ComparedBehaviour, names: readonly string[]): HTMLElement {
  const significant = perClass.filter((one) => one.significant);
  const rows = perClass.map((one): Content[] => [
    names[one.class] ?? String(one.class),
    showMetric(FRACTION, one.baseline),
    showMetric(FRACTION, one.distilled),
    changeOf(FRACTION, one.mean),
    intervalCell(FRACTION, one),
    h("span", {}, pCell(one.correctedPValue, one.low), one.significant && " *"),
    showCount(one.support),
  ]);
  const found =
    significant.length === 0
      ? "No class alone differs distinguishably."
      : `${showCount(significant.length)} of ${counted(perClass.length, "class", "classes")} ${significant.length === 1 ? "differs" : "differ"} distinguishably (*).`;
  return figure({
    title: "Class by class, baseline against distilled",
    description: `The share of each class that is found, mean over the seeds; the interval is for other seeds and other samples, p values are corrected for the number of classes (Holm). ${found}`,
    content: [
      table({
        caption: "Accuracy by class, baseline against distilled",
        columns: ["class", "baseline", "distilled", "points", "interval", "p", "samples"],
        rows,
      }),
    ],
    className: "wide",
  });
}

function share(stats: SampleStats): Content {
  return spreadCell(FRACTION, stats);
}
