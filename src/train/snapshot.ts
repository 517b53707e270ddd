import * as v from "valibot";
import { badCheckpoint, type Safetensors } from "../checkpoint/index.js";
import { expectInteger } from "../checks.js";
import type { DataLoader, EpochBatches } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import type { Module } from "../nn/module.js";
import { copyInto, type StateDict } from "../nn/state_dict.js";
import type { Optimizer } from "../optim/optimizer.js";
import { IntTensor } from "../tensor/int_tensor.js";
import type { Generator } from "../tensor/random.js";
import { type BestWeights, cloneState } from "./best.js";

const number = v.pipe(v.number(), v.finite());
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const epochRecord = v.strictObject({
  epoch: count,
  epochs: count,
  lr: number,
  seconds: number,
  samplesPerSecond: number,
  metrics: v.record(v.string(), number),
});
const positionSchema = v.strictObject({
  epoch: count,
  step: count,
  sums: v.record(v.string(), number),
  seconds: number,
  history: v.array(epochRecord),
});
const bestEpoch = v.strictObject({ epoch: count, validationAccuracy: number, validationLoss: number });
const storedSchema = v.strictObject({
  ...positionSchema.entries,
  /** The names of the optimizer's tensors: a parameter that never moved has none. */
  optimizer: v.array(v.string()),
  best: v.nullable(bestEpoch),
});

/**
 * Where a run stands, beside its tensors: epochs that are done; of the epoch that runs the steps that are done, sums
 * over them and the seconds that they took; what was told of the epochs before.
 */
export type Position = v.InferOutput<typeof positionSchema>;

/** Everything that a run changes. */
export interface RunState {
  model: Module;
  /** A module whose buffers move with the run: a teacher in train mode. */
  moving: Module | null;
  optimizer: Optimizer;
  generator: Generator;
  /** The order of the epoch that runs; null where it is the data's own. */
  order: Int32Array | null;
  position: Position;
  /** The epoch that did best so far, with its weights; null before there is one. */
  best: BestWeights | null;
}

/** A run's state as tensors and texts, sharing memory with it. */
export function capture(state: RunState): Safetensors {
  const { optimizer, order, position, best } = state;
  const tensors = { ...stateTensors(state), ...optimizerTensors(optimizer) };
  if (order !== null) tensors.order = new IntTensor(order);
  const moments = Object.keys(optimizerTensors(optimizer));
  const { state: _, ...bestEpoch } = best ?? { state: null };
  const stored = { ...position, optimizer: moments, best: best && bestEpoch };
  return { tensors, metadata: { position: JSON.stringify(stored) } };
}

/**
 * Brings a captured state back into a run that was set up the same way, all or nothing; gives the batches of its epoch
 * where that had begun. `BAD_CHECKPOINT` for what does not fit the run.
 */
export function restore(
  state: RunState,
  { tensors, metadata }: Safetensors,
  { file, loader, epochs }: { file: string; loader: DataLoader; epochs: number },
): EpochBatches | null {
  const { order, ...rest } = tensors;
  const { optimizer: moments, best, ...position } = readPosition(metadata.position, file);
  let batches: EpochBatches | null = null;
  const target = { ...state, best: best && { ...best, state: cloneState(state.model.stateDict()) } };
  try {
    expectInteger("epoch", position.epoch, 0, epochs);
    expectInteger("step", position.step, 0, position.epoch === epochs ? 0 : loader.length - 1);
    const [own, others] = split(rest, "optimizer.");
    // Checked there: whether it is an order at all.
    if (position.step > 0 || order !== undefined) batches = loader.epochFrom((order?.data as Int32Array) ?? null);
    loadOptimizer(state.optimizer, own, moments);
    copyInto("the run", stateTensors(target), others, true);
  } catch (error) {
    throw badCheckpoint(file, `does not fit this run: ${(error as Error).message}`, error);
  }
  Object.assign(state.position, position);
  state.order = batches?.order ?? null;
  state.best = target.best;
  return batches;
}

/** A generator's state, sharing memory with it. */
export function randomState({ state }: Generator): IntTensor {
  return new IntTensor(new Int32Array(state.buffer, state.byteOffset, state.length));
}

function stateTensors({ model, moving, generator, best }: RunState): StateDict {
  const under = (prefix: string, entries: readonly [string, StateDict[string]][]) =>
    entries.map(([key, tensor]): [string, StateDict[string]] => [`${prefix}.${key}`, tensor]);
  return Object.fromEntries([
    ...under("model", Object.entries(model.stateDict())),
    ...under("teacher", moving?.namedBuffers() ?? []),
    ...under("best", Object.entries(best?.state ?? {})),
    ["random.state", randomState(generator)],
  ]);
}

/** What an optimizer keeps, by the numbers of its parameters and PyTorch's keys: `optimizer.0.exp_avg`. */
function optimizerTensors(optimizer: Optimizer): StateDict {
  const entries = [...optimizer.stateDict().state].flatMap(([param, kept]) =>
    Object.entries(kept).map(([key, tensor]) => [`optimizer.${param}.${key}`, tensor]),
  );
  return Object.fromEntries(entries);
}

function loadOptimizer(optimizer: Optimizer, tensors: StateDict, names: readonly string[]): void {
  const missing = names.find((name) => !Object.hasOwn(tensors, name));
  if (missing !== undefined || Object.keys(tensors).length !== names.length) {
    const text =
      missing === undefined ? "the optimizer's tensors are not those of its list" : `"${missing}" is missing`;
    throw new DistilleryError("STATE_DICT_MISMATCH", text);
  }
  const state: Record<string, StateDict> = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    const [, param, key] = name.split(".");
    state[param] = { ...state[param], [key]: tensor };
  }
  optimizer.loadStateDict({ ...optimizer.stateDict(), state });
}

/** Entries whose names begin so, and the others. */
function split(state: StateDict, prefix: string): [StateDict, StateDict] {
  const entries = Object.entries(state);
  const within = ([name]: [string, unknown]) => name.startsWith(prefix);
  return [Object.fromEntries(entries.filter(within)), Object.fromEntries(entries.filter((entry) => !within(entry)))];
}

function readPosition(text: string | undefined, file: string): v.InferOutput<typeof storedSchema> {
  try {
    return v.parse(storedSchema, JSON.parse(text ?? ""));
  } catch (error) {
    throw badCheckpoint(file, "does not say where its run stands", error);
  }
}
