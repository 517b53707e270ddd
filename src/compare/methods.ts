import { createHash } from "node:crypto";
import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import type { LossSpec } from "../losses/index.js";
import { isDistillationLoss } from "../losses/loss.js";
import { formatExpression } from "../registry/index.js";
import { type CrossedDifference, corrected, crossedDifference, differenceOverSeeds } from "./crossed_difference.js";
import type { ExaminedStudents, Method } from "./results.js";
import { type PairedDifference, pairedDifference } from "./statistics.js";

/** A way to distil, with what it and its loss are called and its runs' folder below a seed's. */
export interface NamedMethod {
  spec: LossSpec | null;
  loss: string;
  name: string;
  folder: string;
  calibrateTeacher: boolean;
}

/** The folder of the only student that is distilled, below a seed's. */
export const DISTILLED = "distilled";
/** The folder of the student that learns from the labels alone. */
export const BASELINE = "baseline";

/**
 * The losses of a comparison by name, each with its teacher as it is, calibrated, or both. A folder follows from the loss alone:
 * with `resume` losses come and change places.
 */
export function nameMethods(losses: readonly (LossSpec | null)[], calibrateTeacher: boolean | "both"): NamedMethod[] {
  const named = losses.map((spec) => ({ spec, loss: labelOf(spec) }));
  const again = named.find(({ loss }, i) => named.findIndex((other) => other.loss === loss) < i);
  if (again !== undefined) {
    throw new DistilleryError("BAD_ARGUMENT", `losses: expected each once, got ${show(again.loss)} again`);
  }
  const seen = new Map([[BASELINE, 1]]);
  return named.flatMap((one) => {
    const folder = folderOf(one.loss);
    // Names that differ in case are one on some file systems.
    const key = folder.toLowerCase();
    const count = (seen.get(key) ?? 0) + 1;
    seen.set(key, count);
    const own = count === 1 ? folder : `${folder}-${count}`;
    if (calibrateTeacher !== "both") return { ...one, name: one.loss, folder: own, calibrateTeacher };
    return [
      { ...one, name: one.loss, folder: own, calibrateTeacher: false },
      { ...one, name: `${one.loss}, calibrated teacher`, folder: `${own}@calibrated`, calibrateTeacher: true },
    ];
  });
}

/** The only way to distil of a comparison. */
export function nameMethod(spec: LossSpec | null, calibrateTeacher: boolean): NamedMethod {
  const loss = labelOf(spec);
  return { spec, loss, name: loss, folder: DISTILLED, calibrateTeacher };
}

function labelOf(spec: LossSpec | null): string {
  if (spec === null) return "kd";
  if (typeof spec === "function") return spec.name || "function";
  return isDistillationLoss(spec) ? spec.name : formatExpression(spec);
}

/** `kd(temperature=2) + rkd` is `kd-temperature=2+rkd`. */
function folderOf(label: string): string {
  const text = label.replaceAll(/[\s"')[\]{}]/g, "").replaceAll(/[^\w.+=,-]/g, "-");
  const name = text.replace(/^[.-]+/, "").replace(/\.+$/, "") || "loss";
  if (name.length <= MAX_LENGTH) return name;
  return `${name.slice(0, MAX_LENGTH)}-${createHash("sha256").update(label).digest("hex").slice(0, 8)}`;
}

const MAX_LENGTH = 100;

/** What one way to train has more of a figure than another one, on the test set. */
export function differenceOf(
  a: ExaminedStudents,
  b: ExaminedStudents,
  weights: "best" | "last",
  metric: string,
): CrossedDifference {
  if (a.scores !== null && b.scores !== null) return crossedDifference(a.scores[weights], b.scores[weights]);
  return differenceOverSeeds(a.figures[weights][metric].values, b.figures[weights][metric].values);
}

/** Every way to distil against the baseline and against the first one by a figure, each family of comparisons corrected for itself. */
export function methodsOf(
  methods: readonly NamedMethod[],
  students: readonly ExaminedStudents[],
  baseline: ExaminedStudents,
  metric = "accuracy",
): Method[] {
  const [first, ...others] = students;
  const against = (weights: "best" | "last", of: readonly ExaminedStudents[], base: ExaminedStudents) =>
    corrected(of.map((one) => differenceOf(one, base, weights, metric)));
  const ofBaseline = { best: against("best", students, baseline), last: against("last", students, baseline) };
  const ofFirst = { best: against("best", others, first), last: against("last", others, first) };
  return methods.map(({ name, loss, calibrateTeacher }, i) => {
    const { best, last, files } = students[i].figures;
    const of = ({ best, last }: typeof ofBaseline, at: number) => ({ best: best[at], last: last[at] });
    const difference = of(ofBaseline, i);
    const againstFirst =
      i === 0 ? null : { ...of(ofFirst, i - 1), others: otherDifferences(students[i], first, metric) };
    return { name, loss, calibrateTeacher, best, last, files, difference, againstFirst };
  });
}

/** The figures beside the one that networks are compared by, of a's best weights less those of b's, over the seeds. */
function otherDifferences(a: ExaminedStudents, b: ExaminedStudents, metric: string): Record<string, PairedDifference> {
  const { epoch: _, [metric]: __, ...others } = a.figures.best;
  const known = Object.entries(others).filter(([name]) => name in b.figures.best);
  return Object.fromEntries(
    known.map(([name, { values }]) => [name, pairedDifference(values, b.figures.best[name].values)]),
  );
}
