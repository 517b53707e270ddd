import * as v from "valibot";
import { badCheckpoint, CheckpointFiles, type Safetensors } from "../checkpoint/index.js";
import { expectInteger } from "../checks.js";
import type { DataLoader, EpochBatches } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import type { EpochRecord, Metrics } from "../log/epoch_record.js";
import type { Module } from "../nn/module.js";
import { loadInto, type StateDict } from "../nn/state_dict.js";
import type { ExponentialMovingAverage } from "../optim/ema.js";
import { expectOneEach } from "../optim/lr_scheduler.js";
import type { Optimizer } from "../optim/optimizer.js";
import { finite, integer } from "../registry/index.js";
import { epochKey, isBetter, type Metric } from "../tasks/metrics.js";
import { IntTensor, LongTensor } from "../tensor/int_tensor.js";
import type { Generator } from "../tensor/random.js";
import { Tensor } from "../tensor/tensor.js";
import { newStepTrace, stepTraceSchema } from "./step_trace.js";

const number = finite();
const count = integer(0);
const metrics = v.record(v.string(), number);
const epochRecord = v.strictObject({
  epoch: count,
  epochs: count,
  lr: number,
  seconds: number,
  samplesPerSecond: number,
  metrics,
});
const progressSchema = v.strictObject({
  epoch: count,
  step: count,
  sums: metrics,
  seconds: number,
  history: v.array(epochRecord),
  /** Absent in older checkpoints. */
  steps: v.optional(stepTraceSchema, newStepTrace),
  /** The learning rate of each group, if a callback set one. */
  rates: v.optional(v.array(number)),
  /** The unit that multiplied when a bfloat16 run started. */
  bfloat16Unit: v.optional(v.string()),
});
const bestEpoch = v.objectWithRest({ epoch: count, validationLoss: number }, number);
const storedSchema = v.strictObject({
  ...progressSchema.entries,
  /** The names of the optimizer's tensors: parameters that were never updated have none. */
  moments: v.array(v.string()),
  /** Set for a finished run without its optimizer's state. */
  withoutOptimizer: v.optional(v.literal(true)),
  best: v.nullable(bestEpoch),
});

/**
 * The progress of a run, besides its tensors: the epochs done; of the current epoch the batches done, the sums of their
 * metrics and their seconds; the records of the epochs before.
 */
type RunProgress = v.InferOutput<typeof progressSchema>;

/** The epoch that did best on the validation set. */
export interface BestEpoch {
  /** From 1. */
  epoch: number;
  validationLoss: number;
  /** The metric that it was chosen by: `validationAccuracy` for a classification. */
  [metric: `validation${string}`]: number;
}

/** The best epoch with the weights that it ended with. */
export interface BestWeights extends BestEpoch {
  state: StateDict;
}

/** Whether an epoch is better than the best so far: by the task's metric or, if that is equal, by the loss. */
export function isBetterEpoch(metric: Metric, metrics: Metrics, best: Metrics | null): boolean {
  const name = epochKey(metric);
  const { [name]: value, validationLoss: loss } = metrics;
  if (value === undefined || loss === undefined) return false;
  if (best === null || isBetter(metric, value, best[name])) return true;
  return value === best[name] && loss < best.validationLoss;
}

/** What is kept of the best epoch's record, with a copy of the model's current weights. */
export function bestWeights(metric: Metric, { epoch, metrics }: EpochRecord, model: Module): BestWeights {
  const name = epochKey(metric);
  const { [name]: value, validationLoss } = metrics;
  const chosenBy: Omit<BestEpoch, "epoch" | "validationLoss"> = { [name]: value };
  return { epoch, ...chosenBy, validationLoss, state: cloneState(model.stateDict()) };
}

/** The figures of a best epoch. */
export function metricsOfEpoch({ epoch: _, ...best }: BestEpoch): Metrics {
  return Object.fromEntries(
    Object.entries(best).filter((entry): entry is [string, number] => typeof entry[1] === "number"),
  );
}

/** A state dict with copies of the same values. */
export function cloneState(state: StateDict): StateDict {
  const copy = (tensor: StateDict[string]) => {
    if (tensor instanceof Tensor) return new Tensor(tensor.data.slice(), tensor.shape);
    if (tensor instanceof LongTensor) return new LongTensor(tensor.data.slice(), tensor.shape);
    return new IntTensor(tensor.data.slice(), tensor.shape);
  };
  return Object.fromEntries(Object.entries(state).map(([key, tensor]) => [key, copy(tensor)]));
}

/** Everything that a run changes. */
export interface TrainerState {
  model: Module;
  /** What the loss trains beside the model, by name. */
  modules: Readonly<Record<string, Module>>;
  /** What changes in the teacher during the run: its buffers in train mode. */
  teacher: StateDict;
  optimizer: Optimizer;
  /** The averaged weights; null without. */
  average: ExponentialMovingAverage | null;
  generator: Generator;
  /** The order of the current epoch; null if it is the data's own. */
  order: Int32Array | null;
  progress: RunProgress;
  /** The epoch that did best so far, with its weights; null before there is one. */
  best: BestWeights | null;
}

/** A run's state as tensors and metadata that share its memory. */
export function runState(state: TrainerState, { withOptimizer = true } = {}): Safetensors {
  const { optimizer, order, progress, best } = state;
  const moments = withOptimizer ? momentsOf(optimizer) : {};
  const tensors = { ...moduleTensors(state), ...moments };
  if (order !== null) tensors.order = new IntTensor(order);
  const { state: _, ...epoch } = best ?? { state: null };
  return {
    tensors,
    metadata: {
      progress: JSON.stringify({
        ...progress,
        moments: Object.keys(moments),
        best: best && epoch,
        ...(!withOptimizer && { withoutOptimizer: true }),
      }),
    },
  };
}

/**
 * Loads a state dict into a run that was set up in the same way, all or nothing; returns the batches of its epoch if
 * that had started.
 *
 * @throws DistilleryError `BAD_CHECKPOINT` if it does not fit the run.
 */
export function loadRunState(
  state: TrainerState,
  { tensors, metadata }: Safetensors,
  { file, loader, epochs }: { file: string; loader: DataLoader; epochs: number },
): EpochBatches | null {
  const { order, ...rest } = tensors;
  const { moments, best, withoutOptimizer, ...progress } = readProgress(metadata.progress, file);
  if (withoutOptimizer && progress.epoch < epochs) {
    throw badCheckpoint(
      file,
      "is of a finished run, kept without the optimizer's state: it can't go on; start from its weights",
    );
  }
  const target = { ...state, best: best && { ...best, state: cloneState(state.model.stateDict()) } };
  let batches: EpochBatches | null = null;
  try {
    expectInteger("epoch", progress.epoch, 0, epochs);
    if (progress.rates) expectOneEach("rates", progress.rates, state.optimizer);
    expectInteger("step", progress.step, 0, progress.epoch === epochs ? 0 : loader.length - 1);
    // Also checks that it is an order.
    if (progress.step > 0 || order !== undefined) batches = loader.epochFrom((order?.data as Int32Array) ?? null);
    const others = loadMoments(state.optimizer, moments, rest);
    loadInto("the run", moduleTensors(target), others, true);
  } catch (error) {
    throw badCheckpoint(file, `does not fit this run: ${(error as Error).message}`, error);
  }
  Object.assign(state.progress, progress);
  state.order = batches?.order ?? null;
  state.best = target.best;
  return batches;
}

/**
 * Whether the run in a folder has finished, and its current epoch, according to its newest checkpoint; null if it has
 * none. `patience` may end a run early.
 */
export async function progressOf(
  folder: string,
  { epochs, patience }: { epochs: number; patience: number | null },
): Promise<{ isDone: boolean; epoch: number } | null> {
  const checkpoint = await new CheckpointFiles(folder, 1).newest(() => {});
  if (checkpoint === null) return null;
  const { epoch, best, withoutOptimizer = false } = readProgress(checkpoint.metadata.progress, checkpoint.file);
  const isStopped = withoutOptimizer || (patience !== null && best !== null && epoch - best.epoch >= patience);
  return { isDone: epoch >= epochs || isStopped, epoch: epoch + 1 };
}

/** A generator's state, sharing memory with it. */
export function randomState({ state }: Generator): IntTensor {
  return new IntTensor(new Int32Array(state.buffer, state.byteOffset, state.length));
}

function moduleTensors({ model, modules, teacher, average, generator, best }: TrainerState): StateDict {
  const under = (prefix: string, entries: readonly [string, StateDict[string]][]) =>
    entries.map(([key, tensor]): [string, StateDict[string]] => [`${prefix}.${key}`, tensor]);
  return Object.fromEntries([
    ...under("model", Object.entries(model.stateDict())),
    ...Object.entries(modules).flatMap(([name, module]) => under(`loss.${name}`, Object.entries(module.stateDict()))),
    ...under("teacher", Object.entries(teacher)),
    ...under("ema", Object.entries(average?.stateDict() ?? {})),
    ...under("best", Object.entries(best?.state ?? {})),
    ["random.state", randomState(generator)],
  ]);
}

/** The optimizer's tensors by the number of their parameter and PyTorch's names: `optimizer.0.exp_avg`. */
function momentsOf(optimizer: Optimizer): StateDict {
  const entries = [...optimizer.stateDict().state].flatMap(([number, slots]) =>
    Object.entries(slots).map(([name, tensor]) => [`optimizer.${number}.${name}`, tensor]),
  );
  return Object.fromEntries(entries);
}

/** Loads the optimizer's tensors, which must be those in the list; returns the other tensors. */
function loadMoments(optimizer: Optimizer, names: readonly string[], tensors: StateDict): StateDict {
  const others = { ...tensors };
  const state: Record<string, StateDict> = {};
  for (const name of names) {
    if (!Object.hasOwn(others, name)) throw new DistilleryError("STATE_DICT_MISMATCH", `"${name}" is missing`);
    const [, number, key] = name.split(".");
    state[number] = { ...state[number], [key]: others[name] };
    delete others[name];
  }
  optimizer.loadStateDict({ ...optimizer.stateDict(), state });
  return others;
}

function readProgress(text: string | undefined, file: string): v.InferOutput<typeof storedSchema> {
  try {
    return v.parse(storedSchema, JSON.parse(text ?? ""));
  } catch (error) {
    throw badCheckpoint(file, "does not have a run's progress", error);
  }
}
