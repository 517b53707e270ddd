import { argumentError, badArgument } from "../checks.js";
import { expectDataset } from "../data/dataset.js";
import type { Dataset } from "../data/index.js";
import { hasTargets } from "../data/task_name.js";
import { DistilleryError } from "../errors.js";
import type { DistillationLoss, LossSpec } from "../losses/index.js";
import { computeLoss, type LossBatch, readsTeacher } from "../losses/loss.js";
import { Ensemble } from "../models/ensemble.js";
import { expectModule } from "../nn/expect_module.js";
import type { Module } from "../nn/module.js";
import type { Tensor } from "../tensor/tensor.js";
import { closing } from "./closing.js";
import { CONTROL_NAMES, type RunControls, splitControls } from "./controls.js";
import { expectTrainable } from "./expect_trainable.js";
import { fit } from "./fit.js";
import { resolveOptions, type TrainingOptions, trainingSchema } from "./options.js";
import { type LossUse, resolveLoss, tapShapeOf } from "./resolve_loss.js";
import { type RunHandle, startRun } from "./run_handle.js";
import { Trainer } from "./trainer.js";

/** The input of {@link mutual}: the networks, the data, and optional settings. */
export interface MutualInput extends TrainingOptions, RunControls {
  /** Two or more networks, all of which are trained; they share no parameters. */
  students: readonly Module[];
  data: Dataset;
  /**
   * Evaluated after each epoch: the accuracy of each student, and of the mean of their probabilities, which chooses the
   * best epoch.
   */
  validation?: Dataset;
  /**
   * The loss between a student and each other one as its teacher; a student's loss is the mean over the others. It
   * reads only logits and labels. Default: `cross-entropy + kd(temperature=1)`, as in the paper.
   */
  loss?: LossSpec;
}

const MUTUAL_INPUT = ["students", "data", "validation", "loss"] as const satisfies readonly (keyof MutualInput)[];

/** The loss of deep mutual learning. */
export const MUTUAL_LOSS = "cross-entropy + kd(temperature=1)";

/** The students of a run as one network, whose outputs are the logits of their mean probability. */
export function cohortOf(students: readonly Module[]): Ensemble {
  return new Ensemble(students, { average: "probabilities" });
}

/**
 * Deep mutual learning (Zhang, Xiang, Hospedales and Lu, 2018): students that teach each other, without a teacher. The
 * loss of student i is crossEntropy_i + the mean over the others j of KL(p_j ‖ p_i), and its gradient flows to student
 * i alone. All students compute a batch once and then take their steps together, as in the authors' code; in the
 * paper's algorithm each later student sees what the earlier ones have learned from the batch. Each student's gradient
 * is clipped by its own norm.
 *
 * `out` gets a file for each student: `student-1`, `student-2`, ... The metrics `validationLoss` and
 * `validationAccuracy` are those of the mean of their probabilities; `student-1.validationAccuracy` and so on are those
 * of each student.
 *
 * @throws DistilleryError the errors of {@link distill}.
 * @example
 * ```ts
 * const students = [new StudentNet(), new StudentNet()];
 * await mutual({ students, data: train, validation, epochs: 12, out: "runs/mutual" });
 * console.log(students.map((student) => evaluate(student, test).accuracy));
 * ```
 */
export function mutual(input: MutualInput): RunHandle {
  return startRun(input, async (given, stream) => {
    const [controls, { students, data, validation, loss: spec, ...rest }] = splitControls(given);
    expectStudents(students);
    expectDataset(data, "data");
    expectClasses(data);
    if (validation !== undefined) expectDataset(validation, "validation");
    const options = resolveOptions(trainingSchema, rest, [...MUTUAL_INPUT, ...CONTROL_NAMES]);
    const { labelSmoothing } = options;
    expectAlike(students, data);
    const term = await termOf(spec, { students, data, labelSmoothing, generator: stream.generator });
    const networks = Object.fromEntries(students.map((student, i) => [`students[${i}]`, student]));
    expectTrainable({
      networks,
      teacher: students[1],
      loss: term,
      data,
      batchSize: options.batchSize,
      isEvaluated: validation !== undefined,
    });
    const model = cohortOf(students);
    const parts = students.map((module, i) => ({ name: `student-${i + 1}`, path: `networks.${i}`, module }));
    const loss = mutualLoss(term, parts);
    const trainer = await Trainer.open({
      command: "mutual",
      name: "students",
      model,
      parts,
      loss,
      lossSpec: spec,
      teacher: null,
      data,
      validation: validation ?? null,
      options,
      config: () => ({ loss: loss.config() }),
      controls,
      stream,
    });
    return closing(() => fit(trainer, loss, null), [() => trainer.close()], controls.onNote);
  });
}

/** Refuses data of another task; `BAD_ARGUMENT`. */
export function expectClasses(data: Dataset): void {
  if (!hasTargets(data)) return;
  const text = `students teach each other classes, and the data are for ${data.task}`;
  const advice = "train a network by itself (train-teacher) and distil it (distill)";
  throw argumentError("data", `${text}: ${advice}`);
}

/** The loss between two students; refuses one that does not compare only their logits. */
export async function termOf(
  spec: LossSpec | undefined,
  { students, ...use }: Pick<LossUse, "data" | "labelSmoothing" | "generator"> & { students: readonly Module[] },
): Promise<DistillationLoss> {
  const [student, teacher] = students;
  const term = await resolveLoss(spec ?? MUTUAL_LOSS, { ...use, student, teacher });
  const { taps, modules = {} } = term;
  if (readsTeacher(term) && !taps?.student?.length && !taps?.teacher?.length && Object.keys(modules).length === 0) {
    return term;
  }
  throw argumentError("loss", `expected one that compares logits, as "${MUTUAL_LOSS}", got ${term.name}`);
}

/** The sum of all students' losses; in the loss of one student the others are constants. */
function mutualLoss(
  term: DistillationLoss,
  students: readonly { readonly name: string; readonly path: string }[],
): DistillationLoss {
  return {
    name: "mutual",
    needsTeacher: false,
    drawsRandomNumbers: term.drawsRandomNumbers ?? false,
    taps: { student: students.map(({ path }) => path) },
    compute(batch) {
      const logits = students.map(({ path }) => batch.student.taps[path]);
      const metrics: Record<string, number> = {};
      const losses = students.map(({ name }, i) => {
        const others = logits.filter((_, j) => j !== i);
        const { loss, metrics: own } = learnFrom(term, batch, logits[i], others);
        metrics[`${name}.loss`] = loss.item();
        for (const [metric, value] of Object.entries(own)) metrics[`${name}.${metric}`] = value;
        return loss;
      });
      return { loss: total(losses), metrics };
    },
    config: () => ({ mutual: term.config() }),
  };
}

/** The mean over the others, as teachers, of a student's loss, and of its metrics. */
function learnFrom(term: DistillationLoss, batch: LossBatch, own: Tensor, others: readonly Tensor[]) {
  const metrics: Record<string, number> = {};
  const losses = others.map((other) => {
    const outputs = { student: { logits: own, taps: {} }, teacher: { logits: other.detach(), taps: {} } };
    const result = computeLoss(term, { ...batch, ...outputs });
    for (const [name, value] of Object.entries(result.metrics)) {
      metrics[name] = (metrics[name] ?? 0) + value / others.length;
    }
    return result.loss;
  });
  const loss = total(losses);
  return { loss: others.length === 1 ? loss : loss.mul(1 / others.length), metrics };
}

function total(losses: readonly Tensor[]): Tensor {
  return losses.reduce((sum, loss) => sum.add(loss));
}

/** Refuses students with different numbers of logits; `SHAPE_MISMATCH`. */
function expectAlike(students: readonly Module[], data: Dataset): void {
  const shapes = students.map((student, i) => tapShapeOf(student, data, `students[${i}]`, "").join(", "));
  const other = shapes.findIndex((shape) => shape !== shapes[0]);
  if (other < 0) return;
  const text = `expected logits of [${shapes[0]}] a sample, as students[0] gives, got [${shapes[other]}]`;
  throw new DistilleryError("SHAPE_MISMATCH", `students[${other}]: ${text}`);
}

function expectStudents(students: readonly Module[]): void {
  if (!Array.isArray(students) || students.length < 2) {
    throw badArgument("students", "two networks or more", students);
  }
  const seen = new Set<Tensor>();
  for (const [i, student] of students.entries()) {
    expectModule(`students[${i}]`, student);
    const own = student.parameters();
    if (own.some((parameter) => seen.has(parameter))) {
      throw argumentError(`students[${i}]`, "shares parameters with one before: make each anew");
    }
    for (const parameter of own) seen.add(parameter);
  }
}
