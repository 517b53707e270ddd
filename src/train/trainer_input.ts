import { fingerprint, type RunConfig } from "../checkpoint/index.js";
import { expectMetadata } from "../checkpoint/safetensors.js";
import { argumentError, expectShape } from "../checks.js";
import { expectUnaugmented } from "../data/augment.js";
import { type Dataset, fingerprintOf, NO_LABEL } from "../data/dataset.js";
import { labelsOf } from "../data/labels.js";
import { expectDescribed, preprocessingOf } from "../data/preprocessing/spec.js";
import { taskNameOf } from "../data/task_name.js";
import { DistilleryError } from "../errors.js";
import type { DistillationLoss, LossSpec } from "../losses/index.js";
import { expectOrder, expectReads } from "../models/fit_network.js";
import { preprocessingText } from "../models/training_record.js";
import type { Module } from "../nn/module.js";
import { ExponentialMovingAverage } from "../optim/ema.js";
import { createScheduler } from "../optim/index.js";
import type { LRScheduler } from "../optim/lr_scheduler.js";
import type { Optimizer } from "../optim/optimizer.js";
import type { Schedule } from "../optim/schedules.js";
import { importModules, moduleHashes, parseExpression } from "../registry/index.js";
import type { Teacher } from "../teachers/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { type BatchOptions, singleFor, singleForLoss } from "./batch_norms.js";
import type { RunControls } from "./controls.js";
import { NEEDS_VALIDATION, type ResolvedTraining } from "./options.js";
import { isExpression } from "./resolve_loss.js";
import type { RunStream } from "./run_handle.js";
import { createOptimizer, describeOptimizer, expectMomentum } from "./run_optimizer.js";
import {
  describeSchedule,
  expectLongEnough,
  resolveSchedule,
  stepsPerEpoch,
  withoutScheduleOptions,
} from "./run_schedule.js";
import { randomState } from "./trainer_state.js";

/** A network in a run's model that is trained by itself: clipped, validated and saved separately. */
export interface Part {
  /** The prefix of its weight files and of its metrics. */
  name: string;
  /** In the model, as `networks.0`. */
  path: string;
  module: Module;
}

/** The input of a trainer. */
export interface TrainerInput {
  command: string;
  /** The name of the files of weights, without extension. */
  name: string;
  model: Module;
  /** The networks in the model that are trained separately; default: the model is the only one. */
  parts?: readonly Part[];
  loss: DistillationLoss;
  /** The specification of `loss`; undefined: the default. */
  lossSpec: LossSpec | undefined;
  /** For the agreement on the validation set, and for its buffers if they change. */
  teacher: Teacher | null;
  /** The network of the teacher and its mode, if the loss reads it and it is one. */
  teacherNetwork?: { module: Module; mode: "train" | "eval" } | null;
  data: Dataset;
  /** Evaluated on after each epoch; null: none. */
  validation: Dataset | null;
  options: ResolvedTraining;
  /** What else determines the metrics, for `config.json`; called only if that is written. */
  config: () => Readonly<Record<string, unknown>>;
  /** Work that takes time or money before the run; done once the run's folder is known to be free. */
  preparation?: Preparation | null;
  controls: RunControls;
  stream: RunStream;
}

/** What is done before a run. */
export interface Preparation {
  /** With the controls of this rank. */
  run(controls: RunControls): Promise<void>;
  /** The names that `config` has only afterwards. */
  readonly gives: readonly string[];
}

/**
 * Refuses weights in another order, a missing or unsuitable validation set, batches of one sample for BatchNorm,
 * preprocessing that no file can store, and fewer shards than ranks.
 */
export function validateInput(input: TrainerInput): void {
  const { model, parts, data, validation, options, controls } = input;
  for (const { module, name } of parts ?? [{ module: model, name: "the network" }]) {
    expectReads(module, data, name);
    expectOrder(module, data, name);
  }
  expectBatches(input);
  if (validation !== null) {
    expectShape("validation", [validation.features, validation.classes], [data.features, data.classes]);
    expectEvaluable("validation", validation, data);
  } else if (options.patience !== null) {
    throw argumentError("patience", NEEDS_VALIDATION.patience);
  }
  expectDescribed("data", data);
  if (controls.out !== undefined) expectMetadata("data", preprocessingText(preprocessingOf(data)));
  const { size = 1 } = controls.ranks ?? {};
  if (options.shards < size) {
    const text = `expected at least one for each of the ${size} ranks, got ${options.shards}`;
    throw argumentError("shards", text);
  }
}

/**
 * Refuses a held-out set on which the networks can't be evaluated: for another task than the training data, augmented,
 * or with unlabelled samples.
 */
export function expectEvaluable(name: string, heldOut: Dataset, data: Dataset): void {
  expectUnaugmented(name, heldOut);
  const [own, wanted] = [heldOut, data].map(taskNameOf);
  if (own !== wanted) throw argumentError(name, `is for ${own}, the data for ${wanted}`);
  const sample = heldOut.unlabelled ? labelsOf(heldOut).indexOf(NO_LABEL) : -1;
  if (sample < 0) return;
  throw argumentError(name, `sample ${sample} has no label, which accuracy needs`);
}

/** Refuses batches of one sample for BatchNorm in train mode: of what is trained, of the teacher, of the loss. */
function expectBatches({ model, parts, loss, data, options, teacherNetwork }: TrainerInput): void {
  const { module: teacher = null, mode = "eval" } = teacherNetwork ?? {};
  const own: BatchOptions = { ...options, teacherMode: mode };
  const single =
    (parts ?? [{ module: model }]).map(({ module }) => singleFor(module, own, data)).find((issue) => issue !== null) ??
    (teacher !== null && mode === "train" ? singleFor(teacher, own, data, { whose: "the teacher" }) : null) ??
    singleForLoss(loss, own, { student: model, teacher, data });
  if (single !== null) throw new DistilleryError("BATCH_TOO_SMALL", `${single.path.join(".")}: ${single.text}`);
}

/** What a run makes of its options. */
interface MadeOfOptions {
  /** Those of the loss. */
  readonly modules: Readonly<Record<string, Module>>;
  /** Of the model and of the loss's modules. */
  readonly parameters: ReadonlySet<Tensor>;
  readonly optimizer: Optimizer;
  /** With every option written out. */
  readonly schedule: string | Schedule;
  readonly scheduler: LRScheduler;
  readonly average: ExponentialMovingAverage | null;
  /** SHA-256 of the files of the user's own modules, by name. */
  readonly hashes: Readonly<Record<string, string>>;
}

/** Makes the optimizer, the schedule and the averaged weights of a run. */
export async function madeOf({
  model,
  loss,
  lossSpec,
  data,
  options,
}: Pick<TrainerInput, "model" | "loss" | "lossSpec" | "data" | "options">): Promise<MadeOfOptions> {
  const { lr, weightDecay, epochs, ema, optimizer: optimizerSpec } = options;
  const { modules = {} } = loss;
  const parameters = new Set([model, ...Object.values(modules)].flatMap((module) => module.parameters()));
  const schedule = resolveSchedule(options.schedule, options);
  if (typeof optimizerSpec !== "function") parseExpression(optimizerSpec, "optimizer");
  const named = [optimizerSpec, schedule].filter((spec) => typeof spec !== "function");
  const userModules = await importModules(named);
  const hashes = await moduleHashes([...named, ...(isExpression(lossSpec) ? [lossSpec] : [])]);
  const optimizer = createOptimizer(optimizerSpec, { params: [...parameters], lr, weightDecay }, userModules, modules);
  const average = ema === null ? null : new ExponentialMovingAverage(model, { decay: ema, useBuffers: true });
  const place = { optimizer, epochs, stepsPerEpoch: stepsPerEpoch(data, options) };
  const scheduler = createScheduler(schedule, place, { argument: "schedule", modules: userModules });
  expectLongEnough(scheduler, epochs * place.stepsPerEpoch);
  if (typeof optimizerSpec !== "function") expectMomentum(optimizerSpec, scheduler);
  return { modules, parameters, optimizer, schedule, scheduler, average, hashes };
}

/** Everything that determines a run's metrics: stored in `config.json`, and required to be equal in a resumed run. */
export function configOf(input: TrainerInput, made: MadeOfOptions): RunConfig {
  const { command, model, loss, data, validation, options, config, controls, stream } = input;
  const lossModules = Object.entries(loss.modules ?? {});
  const modules = { ...(controls.metadata?.modules as object | undefined), ...made.hashes };
  return {
    ...controls.metadata,
    ...(Object.keys(modules).length > 0 && { modules }),
    command,
    ...withoutScheduleOptions(options),
    optimizer: describeOptimizer(options.optimizer, made.optimizer),
    ...describeSchedule(made.schedule, made.scheduler.totalSteps),
    ...config(),
    data: data.name,
    samples: data.length,
    features: data.features,
    classes: data.classes,
    ...(data.task && { task: data.task }),
    ...(data.chunk !== undefined && { chunk: data.chunk }),
    dataHash: fingerprintOf(data),
    ...(validation && { validationSamples: validation.length, validationHash: fingerprintOf(validation) }),
    modelHash: fingerprint(model.stateDict()),
    ...Object.fromEntries(lossModules.map(([name, module]) => [`loss.${name}Hash`, fingerprint(module.stateDict())])),
    randomHash: fingerprint({ state: randomState(stream.generator) }),
  };
}
