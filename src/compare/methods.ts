import { createHash } from "node:crypto";
import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import type { LossSpec } from "../losses/index.js";
import { isDistillationLoss } from "../losses/loss.js";
import { formatExpression } from "../registry/index.js";
import { type CrossedDifference, corrected, crossedDifference, differenceOverSeeds } from "./crossed_difference.js";
import type { ExaminedStudents, Method } from "./results.js";

/** A loss of a comparison, with what it is called and its runs' folder below a seed's. */
export interface NamedLoss {
  spec: LossSpec | null;
  label: string;
  folder: string;
}

/** The folder of the only student that is distilled, below a seed's. */
export const DISTILLED = "distilled";
/** The folder of the student that learns from the labels alone. */
export const BASELINE = "baseline";

/** The losses of a comparison by name. A folder follows from the loss alone: with `resume` losses come and change places. */
export function nameLosses(losses: readonly LossSpec[]): NamedLoss[] {
  const named = losses.map((spec) => ({ spec, label: labelOf(spec) }));
  const again = named.find(({ label }, i) => named.findIndex((other) => other.label === label) < i);
  if (again !== undefined) {
    throw new DistilleryError("BAD_ARGUMENT", `losses: expected each once, got ${show(again.label)} again`);
  }
  const seen = new Map([[BASELINE, 1]]);
  return named.map(({ spec, label }) => {
    const folder = folderOf(label);
    // Names that differ in case are one on some file systems.
    const key = folder.toLowerCase();
    const count = (seen.get(key) ?? 0) + 1;
    seen.set(key, count);
    return { spec, label, folder: count === 1 ? folder : `${folder}-${count}` };
  });
}

/** The only loss of a comparison. */
export function nameLoss(spec: LossSpec | null): NamedLoss {
  return { spec, label: labelOf(spec), folder: DISTILLED };
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

/** Every loss against the baseline and against the first one by a figure, each family of comparisons corrected for itself. */
export function methodsOf(
  losses: readonly NamedLoss[],
  students: readonly ExaminedStudents[],
  baseline: ExaminedStudents,
  metric = "accuracy",
): Method[] {
  const [first, ...others] = students;
  const against = (weights: "best" | "last", of: readonly ExaminedStudents[], base: ExaminedStudents) =>
    corrected(of.map((one) => differenceOf(one, base, weights, metric)));
  const ofBaseline = { best: against("best", students, baseline), last: against("last", students, baseline) };
  const ofFirst = { best: against("best", others, first), last: against("last", others, first) };
  return losses.map(({ label }, i) => {
    const { best, last, files } = students[i].figures;
    const of = ({ best, last }: typeof ofBaseline, at: number) => ({ best: best[at], last: last[at] });
    const difference = of(ofBaseline, i);
    return { loss: label, best, last, files, difference, againstFirst: i === 0 ? null : of(ofFirst, i - 1) };
  });
}
