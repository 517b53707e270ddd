import { types } from "node:util";
import { expectAtLeast0, expectInteger, expectShape, isObject, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { Tensor } from "../tensor/tensor.js";
import type { ParamGroup } from "./param_group.js";

/**
 * The state of an optimizer in the structure and keys of PyTorch's `state_dict()`: what is kept for each parameter that
 * has moved, by the parameter's number, and the parameter groups with their options.
 */
export type OptimizerStateDict = {
  state: Map<number, Record<string, Tensor>>;
  param_groups: Record<string, number | boolean | null | readonly number[]>[];
};

/** Options of PyTorch's that change nothing here. */
const UNUSED = new Map<string, false | null>([
  ["foreach", null],
  ["capturable", false],
  ["differentiable", false],
  ["fused", null],
]);
/** What schedulers leave in a group. */
const SCHEDULED = ["initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum"];
/** What makes one optimizer another one. */
const FIXED = ["decoupled_weight_decay"];

/** The state dict of parameter groups whose options have these keys in PyTorch; the arrays are shared. */
export function writeOptimizer(
  groups: readonly ParamGroup[],
  state: ReadonlyMap<Tensor, object>,
  keys: readonly string[],
): OptimizerStateDict {
  const params = groups.flatMap((group) => group.params);
  const numbers = new Map(params.map((param, i) => [param, i]));
  const moved = params.flatMap((param, i): [number, Record<string, Tensor>][] => {
    const kept = Object.entries(state.get(param) ?? {});
    const tensors = kept.map(([name, value]): [string, Tensor] => [
      snakeCase(name),
      typeof value === "number" ? new Tensor(Float32Array.of(value), []) : new Tensor(value, param.shape),
    ]);
    return tensors.length === 0 ? [] : [[i, Object.fromEntries(tensors)]];
  });
  return {
    state: new Map(moved),
    param_groups: groups.map((group) => ({
      ...Object.fromEntries([...keys, ...SCHEDULED].flatMap((key) => writeOption(group, key))),
      params: group.params.map((param) => numbers.get(param) ?? -1),
    })),
  };
}

function writeOption(group: ParamGroup, key: string) {
  const unused = UNUSED.get(key);
  if (unused !== undefined) return [[key, unused]];
  const value = (group as unknown as Record<string, unknown>)[camelCase(key)];
  if (value === undefined) return [];
  // PyTorch writes pairs as tuples.
  return [[key, Array.isArray(value) ? Object.freeze([...value]) : value]];
}

/** The groups and the state of a state dict, of this library or of PyTorch. */
interface LoadedOptimizer<G, S> {
  /** In the order of the optimizer's groups, unchecked. */
  options: Partial<G>[];
  state: [Tensor, S][];
}

/** Reads a state dict for an optimizer's groups; `stateKeys` are those of a parameter's state, in PyTorch's words. */
export function readOptimizer<G extends ParamGroup, S>(
  dict: unknown,
  groups: readonly G[],
  keys: readonly string[],
  stateKeys: (options: Partial<G>) => readonly string[],
): LoadedOptimizer<G, S> {
  const stored = dictField(dict, "param_groups");
  if (!Array.isArray(stored)) throw mismatch(`param_groups: expected a list of groups, got ${show(stored)}`);
  if (stored.length !== groups.length) {
    throw mismatch(`param_groups: expected as many as the optimizer has, ${groups.length}, got ${stored.length}`);
  }
  const states = dictField(dict, "state");
  if (!isDict(states)) throw mismatch(`state: expected a dictionary by the parameters' numbers, got ${show(states)}`);
  const known = new Set<string>();
  const loaded: LoadedOptimizer<G, S> = { options: [], state: [] };
  for (const [i, group] of groups.entries()) {
    const place = `param_groups[${i}]`;
    const options = readOptions(stored[i], group, keys, place);
    const params = dictField(stored[i], "params");
    if (!Array.isArray(params) || params.length !== group.params.length) {
      const got = Array.isArray(params) ? params.length : show(params);
      throw mismatch(`${place}.params: expected ${group.params.length} parameters, got ${got}`);
    }
    for (const [j, param] of group.params.entries()) {
      known.add(String(params[j]));
      const kept = dictField(states, params[j]);
      const values = readState(kept, param, stateKeys(options), `state[${String(params[j])}]`);
      if (values !== null) loaded.state.push([param, values as S]);
    }
    loaded.options.push(options);
  }
  const stranger = (types.isMap(states) ? [...states.keys()] : Object.keys(states)).find(
    (key) => !known.has(String(key)),
  );
  if (stranger !== undefined) throw mismatch(`state: no parameter has the number ${String(stranger)}`);
  return loaded;
}

function readOptions<G extends ParamGroup>(
  dict: unknown,
  group: G,
  keys: readonly string[],
  place: string,
): Partial<G> {
  const options: Record<string, unknown> = {};
  for (const key of keys) {
    if (UNUSED.has(key)) continue;
    const name = camelCase(key);
    const now = (group as unknown as Record<string, unknown>)[name];
    const value = plain(dictField(dict, key));
    if (typeof now === "boolean") {
      // Files of older versions do not have every flag.
      if (value !== undefined && (typeof value !== "boolean" || (FIXED.includes(key) && value !== now))) {
        throw mismatch(`${place}.${key}: expected ${FIXED.includes(key) ? now : "true or false"}, got ${show(value)}`);
      }
      options[name] = value ?? (FIXED.includes(key) ? now : false);
    } else {
      if (Array.isArray(now) && !(Array.isArray(value) && value.length === now.length)) {
        throw mismatch(`${place}.${key}: expected ${now.length} numbers, got ${show(value)}`);
      }
      options[name] = value;
    }
  }
  for (const key of SCHEDULED) {
    const value = plain(dictField(dict, key));
    if (value !== undefined) {
      options[camelCase(key)] = expectAtLeast0(key, value);
    }
  }
  return options as Partial<G>;
}

/** A parameter's state; null if it has none. */
function readState(kept: unknown, param: Tensor, keys: readonly string[], place: string): object | null {
  if (kept === undefined || keys.length === 0) return null;
  const values = keys.map((key): [string, unknown] => [key, dictField(kept, key)]);
  // SGD before PyTorch 2.1 writes None for a buffer that it does not have.
  if (values.every(([, value]) => value === null)) return null;
  const entries = values.map(([key, value]): [string, number | Float32Array] => {
    // A number in files of PyTorch before 1.12.
    if (key === "step") return [key, expectInteger(`${place}.step`, plain(value), 0)];
    if (!(value instanceof Tensor)) throw mismatch(`${place}.${key}: expected a tensor, got ${show(value)}`);
    expectShape(`${place}.${key}`, value.shape, param.shape);
    return [camelCase(key), value.data.slice()];
  });
  return Object.fromEntries(entries);
}

/** A value, or the only element of its tensor. */
function plain(value: unknown): unknown {
  return value instanceof Tensor && value.size === 1 ? value.item() : value;
}

/** A dictionary's value; undefined if there is none. `STATE_DICT_MISMATCH` if it is no dictionary. */
export function dictField(dict: unknown, key: unknown): unknown {
  if (types.isMap(dict)) return dict.get(key) as unknown;
  if (isDict(dict)) {
    return Object.hasOwn(dict, String(key)) ? (dict as Record<string, unknown>)[String(key)] : undefined;
  }
  throw new DistilleryError("STATE_DICT_MISMATCH", `expected a dictionary with ${String(key)}, got ${show(dict)}`);
}

/** Whether a value can be a dictionary of a state dict: an object, or a Map if its keys are numbers. */
function isDict(value: unknown): value is object {
  return isObject(value) && !(value instanceof Tensor);
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function camelCase(key: string): string {
  return key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function mismatch(problem: string): DistilleryError {
  return new DistilleryError("STATE_DICT_MISMATCH", `in the optimizer's state dict, ${problem}`);
}
