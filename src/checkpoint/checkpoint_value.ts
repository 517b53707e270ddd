import { types } from "node:util";
import { badArgument } from "../checks.js";
import { IntTensor, LongTensor } from "../tensor/int_tensor.js";
import { Tensor } from "../tensor/tensor.js";
import type { AnyTensor } from "./stored_types.js";

/**
 * What a checkpoint is made of, in Python's types and ours:
 *
 * | Python | here |
 * |---|---|
 * | `None`, `bool` (`np.bool_`), `str` | null, boolean, string |
 * | `int`, `np.int64`, ... | number, from 2^53 on bigint |
 * | `float`, `np.float64`, ... | number; a whole one comes back to Python as an `int` |
 * | `list`, `tuple` | an array, a frozen array |
 * | `dict`, `OrderedDict`, `Counter` | an object, or a Map if a key is an `int` |
 * | float, int32 and int64 tensors | Tensor, IntTensor, LongTensor |
 * | bool, uint8, int8 and int16 tensors | IntTensor |
 */
export type CheckpointValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Tensor
  | IntTensor
  | LongTensor
  | readonly CheckpointValue[]
  | CheckpointDict
  | ReadonlyMap<string | number, CheckpointValue>;

/** A dictionary with text keys. */
export interface CheckpointDict {
  [key: string]: CheckpointValue;
}

/** How many values a reader accepts: far more than any file of PyTorch has, which is about 8 objects per tensor. */
export const MAX_OBJECTS = 2 ** 20;
/** How deeply dictionaries, lists and tuples may be nested. */
export const MAX_DEPTH = 64;
const MAX_TUPLE = 10_000;
/** The minimum number of objects that a reader counts per tensor. */
const OBJECTS_A_TENSOR = 12;

/** Whether a value is one of the library's tensors. */
export function isTensor(value: unknown): value is AnyTensor {
  return value instanceof Tensor || value instanceof IntTensor || value instanceof LongTensor;
}

/** Whether a value is a plain object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The pairs of a dictionary; null for any other value. */
export function entriesOf(value: unknown): [unknown, unknown][] | null {
  if (types.isMap(value)) return [...value];
  return isRecord(value) ? Object.entries(value) : null;
}

/**
 * Refuses a value that a `.pth` file can't hold, or that `loadCheckpoint` would not read back; returns the bytes of all
 * tensors. The `BAD_ARGUMENT` names the path: `value.optimizer.lr`.
 */
export function checkValue(root: unknown, name: string): number {
  let [objects, bytes] = [0, 0];
  const visit = (value: unknown, path: string, depth: number): void => {
    objects += isTensor(value) ? OBJECTS_A_TENSOR : 2;
    if (objects > MAX_OBJECTS) throw badArgument(path, `at most ${MAX_OBJECTS / 2} values in one checkpoint`, value);
    if (depth > MAX_DEPTH) throw badArgument(path, `at most ${MAX_DEPTH} levels, and no cycle`, value);
    if (isTensor(value)) {
      bytes += value.data.byteLength;
    } else if (Array.isArray(value)) {
      if (Object.isFrozen(value) && value.length > MAX_TUPLE)
        throw badArgument(path, `a tuple of at most ${MAX_TUPLE}`, value);
      // `forEach` would skip the holes of a sparse array.
      for (let i = 0; i < value.length; i++) visit(value[i], `${path}[${i}]`, depth + 1);
    } else if (typeof value === "object" && value !== null) {
      const entries = entriesOf(value);
      if (entries === null) throw badArgument(path, "a tensor, a plain object, a Map, an array or a scalar", value);
      for (const [key, item] of entries) visit(item, `${path}.${checkKey(key, path)}`, depth + 1);
    } else {
      checkScalar(value, path);
    }
  };
  visit(root, name, 1);
  return bytes;
}

function checkKey(key: unknown, path: string): string {
  if (typeof key === "string") checkText(path, key);
  else if (!Number.isSafeInteger(key)) throw badArgument(path, "keys that are texts or whole numbers", key);
  return String(key);
}

function checkScalar(value: unknown, path: string): void {
  if (value === null || typeof value === "boolean" || typeof value === "number") return;
  if (typeof value === "string") checkText(path, value);
  else if (typeof value !== "bigint")
    throw badArgument(path, "a tensor, a plain object, a Map, an array or a scalar", value);
  else if (BigInt.asIntN(64, value) !== value) throw badArgument(path, "a whole number of 64 bits", value);
}

/** Half a surrogate pair would be written as another character, so that two keys could become one. */
export function checkText(name: string, text: string): void {
  if (Buffer.from(text).toString() !== text) throw badArgument(name, "text that can be written in UTF-8", text);
}
