import type { EpochRecord, Metrics } from "../log/epoch_record.js";
import type { Module } from "../nn/module.js";
import type { StateDict } from "../nn/state_dict.js";
import { IntTensor, LongTensor } from "../tensor/int_tensor.js";
import { Tensor } from "../tensor/tensor.js";

/** The epoch that did best on the validation set. */
export interface BestEpoch {
  /** From 1. */
  epoch: number;
  validationAccuracy: number;
  validationLoss: number;
}

/** The best epoch with the weights that it ended with. */
export interface BestWeights extends BestEpoch {
  state: StateDict;
}

/** Whether an epoch did better than the best so far: in accuracy or, where that is the same, in loss. */
export function isBetter(
  { validationAccuracy: accuracy, validationLoss: loss }: Metrics,
  best: BestEpoch | null,
): boolean {
  if (accuracy === undefined || loss === undefined) return false;
  if (best === null || accuracy > best.validationAccuracy) return true;
  return accuracy === best.validationAccuracy && loss < best.validationLoss;
}

/** The best epoch's figures out of its record, with a copy of the weights as they are now. */
export function keepBest({ epoch, metrics }: EpochRecord, model: Module): BestWeights {
  const { validationAccuracy = 0, validationLoss = 0 } = metrics;
  return { epoch, validationAccuracy, validationLoss, state: cloneState(model.stateDict()) };
}

/** A state dict of the same values in memory of its own. */
export function cloneState(state: StateDict): StateDict {
  const copy = (tensor: StateDict[string]) => {
    if (tensor instanceof Tensor) return new Tensor(tensor.data.slice(), tensor.shape);
    if (tensor instanceof LongTensor) return new LongTensor(tensor.data.slice(), tensor.shape);
    return new IntTensor(tensor.data.slice(), tensor.shape);
  };
  return Object.fromEntries(Object.entries(state).map(([key, tensor]) => [key, copy(tensor)]));
}
