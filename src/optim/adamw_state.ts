import { expectInteger, expectNumber, expectShape, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { Tensor } from "../tensor/tensor.js";
import type { AdamW, AdamWState } from "./adamw.js";
import { type Cycle, cycleFrom } from "./cycle.js";
import { dictField, isDict, numberField } from "./dict.js";

/** One parameter's moments: the number of its steps as a tensor of no axes, the averages in the parameter's shape. */
export type AdamWMoments = { step: Tensor; exp_avg: Tensor; exp_avg_sq: Tensor };

/**
 * The state of an AdamW in the structure and keys of `torch.optim.AdamW.state_dict()`: moments by the number of
 * the parameter, without those that never moved, and one parameter group with the options.
 */
export type AdamWStateDict = {
  state: Map<number, AdamWMoments>;
  param_groups: Record<string, number | boolean | null | readonly number[]>[];
};

/** What a state dict says, checked. */
export interface LoadedAdamW {
  options: { lr: number; betas: readonly [number, number]; eps: number; weightDecay: number };
  /** Null where no scheduler left its values. */
  cycle: Cycle | null;
  moments: readonly AdamWState[];
}

/** The state dict of an optimizer; the averages share memory with it. */
export function writeAdamW({ lr, betas, eps, weightDecay, cycle, parameters, state }: AdamW): AdamWStateDict {
  const moved = state.flatMap(({ step, expAvg, expAvgSq }, i): [number, AdamWMoments][] => {
    const shape = parameters[i]?.shape;
    const moments = { exp_avg: new Tensor(expAvg, shape), exp_avg_sq: new Tensor(expAvgSq, shape) };
    return step === 0 ? [] : [[i, { step: new Tensor(Float32Array.of(step), []), ...moments }]];
  });
  const group = {
    lr,
    betas: Object.freeze([...betas]),
    eps,
    weight_decay: weightDecay,
    amsgrad: false,
    maximize: false,
    foreach: null,
    capturable: false,
    differentiable: false,
    fused: null,
    decoupled_weight_decay: true,
    ...cycle,
    params: parameters.map((_, i) => i),
  };
  return { state: new Map(moved), param_groups: [group] };
}

/** Checks a state dict, of this library or of PyTorch, against an optimizer's parameters. */
export function readAdamW(state: unknown, parameters: readonly Tensor[]): LoadedAdamW {
  const groups = dictField(state, "param_groups");
  if (!Array.isArray(groups)) throw mismatch(`param_groups: expected a list of one group, got ${show(groups)}`);
  if (groups.length !== 1) throw mismatch(`param_groups: expected one parameter group, got ${groups.length}`);
  const [group] = groups as [unknown];
  refuseVariants(group);
  const params = dictField(group, "params");
  if (!Array.isArray(params) || params.length !== parameters.length) {
    const got = Array.isArray(params) ? params.length : show(params);
    throw mismatch(`param_groups[0].params: expected ${parameters.length} parameters, got ${got}`);
  }
  const moments = dictField(state, "state");
  refuseStrangers(moments, params);
  return {
    options: readOptions(group),
    cycle: cycleFrom(group),
    moments: parameters.map((parameter, i) => readMoments(dictField(moments, params[i]), parameter, `state[${i}]`)),
  };
}

/** What would step in another way than {@link AdamW} does. */
function refuseVariants(group: unknown): void {
  for (const [name, usual] of [
    ["amsgrad", false],
    ["maximize", false],
    ["decoupled_weight_decay", true],
  ] as const) {
    const value = dictField(group, name) ?? usual;
    if (value !== usual) throw mismatch(`param_groups[0].${name}: expected ${usual}, got ${show(value)}`);
  }
}

function refuseStrangers(moments: unknown, params: readonly unknown[]): void {
  if (!isDict(moments)) throw mismatch(`state: expected moments by their parameters' numbers, got ${show(moments)}`);
  const keys = moments instanceof Map ? [...moments.keys()] : Object.keys(moments);
  const known = new Set(params.map(String));
  const stranger = keys.find((key) => !known.has(String(key)));
  if (stranger !== undefined) throw mismatch(`state: no parameter has the number ${String(stranger)}`);
}

function readOptions(group: unknown): LoadedAdamW["options"] {
  const atLeast0 = (name: string) => numberField(group, name, (x) => x >= 0, "a number of at least 0");
  const betas = dictField(group, "betas");
  const beta = (i: number) =>
    expectNumber(`betas[${i}]`, (betas as unknown[])[i], (x) => x >= 0 && x < 1, "a number from 0 to below 1");
  if (!Array.isArray(betas)) throw mismatch(`param_groups[0].betas: expected two numbers, got ${show(betas)}`);
  return {
    lr: atLeast0("lr"),
    betas: [beta(0), beta(1)],
    eps: atLeast0("eps"),
    weightDecay: atLeast0("weight_decay"),
  };
}

function readMoments(moments: unknown, { size, shape }: Tensor, name: string): AdamWState {
  if (moments === undefined) return { expAvg: new Float32Array(size), expAvgSq: new Float32Array(size), step: 0 };
  const average = (key: string): Float32Array => {
    const value = dictField(moments, key);
    if (!(value instanceof Tensor)) throw mismatch(`${name}.${key}: expected a tensor, got ${show(value)}`);
    expectShape(`${name}.${key}`, value.shape, shape);
    return value.data.slice();
  };
  const step = dictField(moments, "step");
  return {
    expAvg: average("exp_avg"),
    expAvgSq: average("exp_avg_sq"),
    // A number in files of PyTorch before 1.12.
    step: expectInteger(`${name}.step`, step instanceof Tensor && step.size === 1 ? step.item() : step, 0),
  };
}

function mismatch(problem: string): DistilleryError {
  return new DistilleryError("STATE_DICT_MISMATCH", `in the optimizer's state dict, ${problem}`);
}
