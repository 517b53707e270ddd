import { expectNumber, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { Tensor } from "../tensor/tensor.js";

/** Whether a value can be a dictionary of a state dict: an object, or a Map where its keys are numbers. */
export function isDict(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Tensor);
}

/** A dictionary's value; undefined where there is none. `STATE_DICT_MISMATCH` for what is no dictionary. */
export function dictField(dict: unknown, key: unknown): unknown {
  if (dict instanceof Map) return dict.get(key) as unknown;
  if (isDict(dict))
    return Object.hasOwn(dict, String(key)) ? (dict as Record<string, unknown>)[String(key)] : undefined;
  throw new DistilleryError("STATE_DICT_MISMATCH", `expected a dictionary with ${String(key)}, got ${show(dict)}`);
}

/** A dictionary's number, or the only element of its tensor. */
export function numberField(dict: unknown, key: string, ok: (x: number) => boolean, expected: string): number {
  const value = dictField(dict, key);
  return expectNumber(key, value instanceof Tensor && value.size === 1 ? value.item() : value, ok, expected);
}
