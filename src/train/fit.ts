import { types } from "node:util";
import { argumentError } from "../checks.js";
import { type Batch, type Dataset, NO_LABEL } from "../data/dataset.js";
import { labelsOf } from "../data/labels.js";
import { hasTargets } from "../data/task_name.js";
import { DistilleryError } from "../errors.js";
import { drawsRandomNumbers } from "../graph/index.js";
import type { Metrics } from "../log/epoch_record.js";
import type { DistillationLoss, Outputs } from "../losses/index.js";
import { computeLoss, type LossBatch } from "../losses/loss.js";
import { computeMixedLoss, type Mixture } from "../losses/mixed_labels.js";
import { expectOutput } from "../nn/expect_output.js";
import { inputsFor } from "../nn/inputs_for.js";
import type { Module } from "../nn/module.js";
import { Taps } from "../nn/taps.js";
import { clipGradNorm } from "../optim/clip_grad_norm.js";
import type { Teacher } from "../teachers/index.js";
import { TeacherPrefetcher } from "../teachers/prefetcher.js";
import { expectNoPromise, expectOutputs, NO_TEACHER } from "../teachers/teacher.js";
import { leavesOf } from "../tensor/autograd.js";
import type { Labels } from "../tensor/int_tensor.js";
import { Tensor } from "../tensor/tensor.js";
import type { RunResult } from "./controls.js";
import { isOfShapes, wrongOutputs } from "./expect_trainable.js";
import { type Forward, weighted } from "./shard_pass.js";
import { Shards } from "./shards.js";
import { expectFiniteLoss, type Step } from "./train_step.js";
import type { Trainer } from "./trainer.js";

/** Trains a trainer's model with a loss: the only training loop. A teacher is given if the loss needs one. */
export async function fit(trainer: Trainer, loss: DistillationLoss, teacher: Teacher | null): Promise<RunResult> {
  const { model, role, data, clipGroups, optimizer, scheduler, average, options } = trainer;
  const place = `loss ${loss.name}`;
  const drawsOtherwise = (shape: readonly number[]) =>
    loss.drawsRandomNumbers === true || drawsRandomNumbers(model, shape);
  const batches = teacher && new TeacherPrefetcher(teacher, data, drawsOtherwise);
  const labelling = new Labelling(data);
  const tapped = new Taps(model, loss.taps?.student ?? [], "student");
  let traced = 0;
  const shards = options.shards === 1 ? null : new Shards(options, trainer, loss, teacher);

  const forward: Forward = (batch, given) => {
    const { targets = null, indices, mixed } = batch;
    const inputs = inputsFor(model, batch.inputs);
    const { value: logits, taps } = tapped.record(() => expectOutput(role, model.forward(inputs)));
    const teacherOutputs = teacher === null ? given : expectOutputs(teacher, given);
    if (teacher !== null) expectTaps(teacher, loss, teacherOutputs);
    const lossBatch = {
      student: { logits, taps },
      teacher: teacherOutputs,
      labels: labelling.of(batch),
      targets,
      indices,
      epoch: trainer.epochNumber,
      epochs: options.epochs,
      step: scheduler.lastStep,
      steps: trainer.totalSteps,
    };
    const mixture = mixed && { labels: labelling.of({ labels: mixed.labels }), weight: mixed.weight };
    const result = computed(role, loss, lossBatch, mixture, data);
    const value = expectFiniteLoss(place, result.loss.item());
    if (!result.loss.requiresGrad) throw withoutGradient(place);
    if (traced < trainer.epochNumber) expectOwnLeaves(result.loss, trainer.reachable);
    traced = trainer.epochNumber;
    return { root: result.loss, loss: value, metrics: result.metrics, counts: labelling.counts(batch) };
  };
  const update = (step: Step) => {
    if (!step.isLastOfGroup) return;
    const most = options.maxGradNorm ?? Number.POSITIVE_INFINITY;
    const norms = clipGroups.map((group) => expectFiniteLoss("gradient norm", clipGradNorm(group, most)));
    step.gradNorm = norms.reduce((all, norm) => Math.hypot(all, norm));
    optimizer.step();
    scheduler.step();
    average?.update();
    if (teacher !== null) expectNoPromise(teacher, "afterStep()", teacher.afterStep?.());
  };
  const learn = (step: Step, batch: Batch, teacherOutputs: Outputs) => {
    if (step.isFirstOfGroup) optimizer.zeroGrad();
    const { root, loss, metrics, counts } = forward(batch, teacherOutputs);
    weighted(root, 1 / step.groupSize).backward();
    step.report(loss, { ...metrics, ...counts });
    update(step);
  };

  await trainer.eachStep((step) => {
    if (shards !== null) return shards.run(step, forward).then(() => step.run(() => update(step)));
    return step.run(() => {
      const { epoch, index } = step;
      const { batch, outputs } = batches?.next(epoch, index) ?? { batch: epoch.batch(index), outputs: NO_TEACHER };
      if (!types.isPromise(outputs)) return learn(step, batch, outputs);
      return step.arrival(outputs).then((outputs) => step.run(() => learn(step, batch, outputs)));
    });
  });
  return trainer.finish();
}

/** Refuses a loss with a gradient for a parameter that no optimizer updates. */
function expectOwnLeaves(root: Tensor, modules: readonly Module[]): void {
  const own = new Set<object>(modules.flatMap((module) => module.parameters()));
  const other = leavesOf(root).find((leaf) => !own.has(leaf));
  if (other === undefined) return;
  const text = `its gradient reaches a parameter of shape [${other.shape.join(", ")}] that the run does not train`;
  throw argumentError("loss", `${text}: name its module in the modules of a DistillationLoss, or freeze() it`);
}

/** The error for a loss that no parameter determines: `backward()` would not say that the loss is meant. */
function withoutGradient(place: string): DistilleryError {
  const text = "its gradient reaches no parameter that is trained: compute it from the student's logits or taps";
  const advice = "by operations on tensors, outside of noGrad and without detach(), item() or data";
  return new DistilleryError("NO_GRADIENT", `${place}: ${text} ${advice}`);
}

/** Computes a loss; if it refuses logits that are not one number per sample and class, the error names the network. */
function computed(role: string, loss: DistillationLoss, batch: LossBatch, mixture: Mixture | undefined, data: Dataset) {
  try {
    return mixture === undefined ? computeLoss(loss, batch) : computeMixedLoss(loss, batch, mixture);
  } catch (error) {
    if (!isOfShapes(error)) throw error;
    const { student, teacher, indices } = batch;
    const networks = { [role]: student, ...(teacher !== NO_TEACHER && { teacher }) };
    const shapes = Object.entries(networks).map(([name, { logits }]) => [name, logits.shape] as const);
    throw wrongOutputs(shapes, indices.length, data, error) ?? error;
  }
}

/** The labels as a loss gets them for data in which some may be missing. */
class Labelling {
  readonly #mayLack: boolean;
  readonly #lacksAll: boolean;

  constructor(data: Dataset) {
    this.#mayLack = data.unlabelled === true;
    this.#lacksAll = hasTargets(data) || (this.#mayLack && labelsOf(data).every((label) => label === NO_LABEL));
  }

  of({ labels }: Pick<Batch, "labels">): Labels | null {
    return this.#lacksAll ? null : labels;
  }

  /** How many samples of the batch have a label, if some may have none. */
  counts({ labels }: Batch): Metrics {
    if (!this.#mayLack) return {};
    return { labelled: labels.data.reduce((count, label) => count + (label === NO_LABEL ? 0 : 1), 0) };
  }
}

/** Refuses a teacher's outputs without the hidden ones that the loss reads. */
function expectTaps({ name }: Teacher, loss: DistillationLoss, { taps }: Outputs): void {
  const missing = loss.taps?.teacher?.find((path) => !(taps[path] instanceof Tensor));
  if (missing === undefined) return;
  const text = `${name} gives no output of the module "${missing}", which the loss ${loss.name} reads`;
  throw argumentError("teacher", text);
}
