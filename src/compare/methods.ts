import { createHash } from "node:crypto";
import { argumentError, show } from "../checks.js";
import { LOSSES, type LossSpec } from "../losses/index.js";
import { type DistillationLoss, isDistillationLoss } from "../losses/loss.js";
import { type Expression, formatExpression, parseExpression, type StructuredTerm } from "../registry/index.js";
import { taskOf } from "../tasks/index.js";
import { logitsUnread } from "../train/calibrate_teacher.js";
import { isExpression } from "../train/resolve_loss.js";
import { type CrossedDifference, crossedDifference, differenceOverSeeds } from "./crossed_difference.js";
import type { Experiment } from "./experiment.js";
import type { Method, MethodDifference } from "./results.js";
import { corrected, type PairedDifference, pairedDifference } from "./statistics.js";
import type { ExaminedStudents } from "./test_evaluator.js";

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

/** What a comparison takes of the losses and of the teacher. */
interface MethodChoice {
  calibrateTeacher: boolean | "both";
  /** Whether a loss reads the teacher's logits, so that calibrating them changes its students. */
  readsLogits: (spec: LossSpec | null) => boolean;
}

/**
 * The losses of a comparison by name. A folder is named after its loss: with `resume` losses come and change places.
 */
export function nameMethods(losses: readonly LossSpec[], choice: MethodChoice): NamedMethod[] {
  expectOnce(losses);
  const seen = new Map([[BASELINE, 1]]);
  const named = losses.map((spec) => {
    const loss = labelOf(spec);
    const folder = folderOf(loss);
    // Names that differ in case are one on some file systems; those that fall together are numbered in their order.
    const key = folder.toLowerCase();
    const count = (seen.get(key) ?? 0) + 1;
    seen.set(key, count);
    return { spec, loss, folder: count === 1 ? folder : `${folder}-${count}` };
  });
  return withTeachers(named, choice);
}

/** The only loss of a comparison; null is that of the options' temperature and alpha, by its expression. */
export function nameMethod(
  spec: LossSpec | null,
  choice: MethodChoice,
  { task: { data }, options: { temperature, alpha, labelSmoothing } }: Pick<Experiment, "task" | "options">,
): NamedMethod[] {
  const options = { temperature, alpha, labelSmoothing };
  const loss = spec === null ? expressionOf(taskOf(data).distillationLoss(options)) : labelOf(spec);
  return withTeachers([{ spec, loss, folder: DISTILLED }], choice);
}

/** `kd(temperature=3.5, alpha=0.6)`: what a loss of Distillery's own is made from. */
function expressionOf(loss: DistillationLoss): string {
  const config = loss.config() as LossConfig | { weight: number; loss: LossConfig }[];
  const terms = Array.isArray(config) ? config : [{ weight: 1, loss: config }];
  return formatExpression(
    terms.map(({ weight, loss: { labelSmoothing, ...loss } }) => ({
      ...loss,
      // 1 - alpha, without the error of the subtraction.
      weight: Number(weight.toPrecision(12)),
      ...(labelSmoothing && { labelSmoothing }),
    })),
  );
}

type LossConfig = StructuredTerm & { labelSmoothing?: number };

/**
 * Each loss with its teacher as it is, calibrated, or both; for one that does not read the teacher's logits it is as it
 * is.
 */
function withTeachers(
  losses: readonly Pick<NamedMethod, "spec" | "loss" | "folder">[],
  { calibrateTeacher, readsLogits }: MethodChoice,
): NamedMethod[] {
  const methods = losses.flatMap(({ spec, loss, folder }): NamedMethod[] => {
    const of = (isCalibrated: boolean, name = loss): NamedMethod => ({
      spec,
      loss,
      name,
      calibrateTeacher: isCalibrated,
      folder: teacherFolder(folder, isCalibrated),
    });
    if (calibrateTeacher === false || !readsLogits(spec)) return [of(false)];
    return calibrateTeacher === true ? [of(true)] : [of(false), of(true, `${loss}, calibrated teacher`)];
  });
  if (calibrateTeacher === false || methods.some((method) => method.calibrateTeacher)) return methods;
  throw logitsUnread(methods.map(({ loss }) => loss));
}

/**
 * The folder of a student, which tells whether its teacher was calibrated: with `resume` neither is taken for the
 * other.
 */
export function teacherFolder(folder: string, calibrateTeacher: boolean): string {
  return calibrateTeacher ? `${folder}@calibrated` : folder;
}

/**
 * Refuses two losses that are one: also if only one writes its defaults out, or has its terms or arguments in another
 * order.
 */
function expectOnce(losses: readonly LossSpec[]): void {
  const keys = losses.map((spec) => (isExpression(spec) ? keyOf(spec) : labelOf(spec)));
  const again = keys.findIndex((key, i) => keys.indexOf(key) < i);
  if (again < 0) return;
  const [first, second] = [keys.indexOf(keys[again]), again].map((i) => show(labelOf(losses[i])));
  const advice =
    typeof losses[again] === "function" ? ", and a function goes by its name: give each one, as const hint = ..." : "";
  const text =
    first === second ? `got ${second} again${advice}` : `got ${first} and ${second}, which are the same loss`;
  throw argumentError("losses", `expected each once, ${text}`);
}

function keyOf(spec: Expression): string {
  const terms = parseExpression(LOSSES.canonical(spec, { argument: "losses" })).map(({ args, ...term }) => {
    const sorted = Object.entries(args).sort(([a], [b]) => (a < b ? -1 : 1));
    return formatExpression([{ ...term, args: Object.fromEntries(sorted) }]);
  });
  return terms.sort().join(" + ");
}

/** What a loss is called. */
export function labelOf(spec: LossSpec): string {
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

/**
 * Every way to distil by a figure against the baseline, against the first loss, and with a calibrated teacher against
 * the same loss without, each family of comparisons corrected for itself.
 */
export function methodsOf(
  methods: readonly NamedMethod[],
  students: readonly ExaminedStudents[],
  baseline: ExaminedStudents,
  metric = "accuracy",
): Method[] {
  const family = (baseOf: (i: number) => ExaminedStudents | undefined): MethodDifference[] => {
    const pairs = students.flatMap((student, i) => {
      const base = baseOf(i);
      return base === undefined ? [] : [{ i, student, base }];
    });
    const of = (weights: "best" | "last") =>
      corrected(pairs.map(({ student, base }) => differenceOf(student, base, weights, metric)));
    const [best, last] = [of("best"), of("last")];
    const byMethod: MethodDifference[] = [];
    for (const [at, { i, student, base }] of pairs.entries()) {
      byMethod[i] = { best: best[at], last: last[at], others: otherDifferences(student, base, metric) };
    }
    return byMethod;
  };
  // By the loss itself: a function may be called as an expression is.
  const uncalibrated = methods.map(({ spec, calibrateTeacher }) =>
    calibrateTeacher ? methods.findIndex((other) => other.spec === spec && !other.calibrateTeacher) : -1,
  );
  const ofBaseline = family(() => baseline);
  const ofFirst = family((i) => (i > 0 && uncalibrated[i] < 0 ? students[0] : undefined));
  const ofPair = family((i) => students[uncalibrated[i]]);
  return methods.map(({ name, loss, calibrateTeacher }, i) => {
    const { best, last, files } = students[i].figures;
    const { others: _, ...difference } = ofBaseline[i];
    const pair = { uncalibrated: uncalibrated[i] < 0 ? null : uncalibrated[i], againstUncalibrated: ofPair[i] ?? null };
    return { name, loss, calibrateTeacher, best, last, files, difference, againstFirst: ofFirst[i] ?? null, ...pair };
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
