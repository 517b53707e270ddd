import { quote } from "./bad_checkpoint.js";
import { type Dict, type Global, isKind, kindOf, type Storage, type StoredView, type Value } from "./pickle_values.js";
import { STORED_TYPES, type StoredType } from "./stored_types.js";

/** Makes the error for a problem at the instruction that is being read. */
export type Fail = (problem: string) => Error;

const STORAGES = new Map<string, StoredType>(STORED_TYPES.map((type) => [`torch.${type.torch}`, type]));
const ORDERED_DICT = "collections.OrderedDict";
const REBUILD_TENSOR = "torch._utils._rebuild_tensor_v2";
const REBUILD_PARAMETER = "torch._utils._rebuild_parameter";
const ALLOWED = new Set([ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER, ...STORAGES.keys()]);

/** The global of a name, if it is one of the few that stand in a dictionary of tensors; every other is refused. */
export function globalNamed(name: string, fail: Fail): Global {
  if (ALLOWED.has(name)) return { kind: "global", name };
  if (/^torch\.\w+Storage$/.test(name)) {
    const read = STORED_TYPES.map((type) => type.torch).join(", ");
    throw fail(`GLOBAL ${quote(name)}: elements of this type are not read, only ${read}`);
  }
  throw fail(`GLOBAL ${quote(name)} is not allowed: only a state_dict is read, and nothing of the file is run`);
}

/** What calling one of the globals would give, made without calling anything. */
export function reduce(callee: Value, args: Value, fail: Fail): Dict | StoredView {
  if (!isKind(callee, "global") || !isKind(args, "tuple")) {
    throw fail(`REDUCE of a ${kindOf(callee)} with a ${kindOf(args)} is not allowed`);
  }
  if (callee.name === REBUILD_TENSOR) return tensorView(args.items, fail);
  if (callee.name === REBUILD_PARAMETER) return parameterView(args.items, fail);
  if (callee.name === ORDERED_DICT && args.items.length === 0) return { kind: "dict", ordered: true, entries: [] };
  throw fail(`REDUCE of ${quote(callee.name)} with ${args.items.length} arguments is not allowed`);
}

/** The storage that a persistent id names: `("storage", torch.FloatStorage, "0", "cpu", 6)`. */
export function storageOf(id: Value, fail: Fail): Storage {
  const items = isKind(id, "tuple") ? id.items : [];
  const [tag, type, key, location, count] = items;
  if (items.length !== 5 || tag !== "storage" || typeof key !== "string" || typeof location !== "string") {
    throw fail("BINPERSID of something else than a storage");
  }
  const stored = isKind(type, "global") ? STORAGES.get(type.name) : undefined;
  if (stored === undefined) throw fail("BINPERSID of a storage without a known type");
  if (!isCount(count)) throw fail(`BINPERSID of a storage with ${String(count)} elements`);
  return { kind: "storage", type: stored, key, count };
}

function tensorView(args: readonly Value[], fail: Fail): StoredView {
  const [storage, offset, shape, strides, requiresGrad, hooks, metadata = null] = args;
  if (args.length < 6 || args.length > 7 || !isKind(storage, "storage") || typeof requiresGrad !== "boolean") {
    throw fail("REDUCE of _rebuild_tensor_v2 with other arguments than PyTorch's");
  }
  if (!isEmptyDict(hooks)) throw fail("a tensor with backward hooks is not allowed");
  if (metadata !== null && !isEmptyDict(metadata)) {
    throw fail("a conjugate or negative view is not read: write tensor.resolve_conj().resolve_neg()");
  }
  if (!isCount(offset)) throw fail(`a tensor's offset is ${String(offset)}`);
  const [lengths, steps] = [counts(shape), counts(strides)];
  if (lengths === null || steps === null || lengths.length !== steps.length) {
    throw fail("a tensor's shape and strides are not two tuples of as many whole numbers");
  }
  return { kind: "tensor", storage, offset, shape: lengths, strides: steps };
}

function parameterView(args: readonly Value[], fail: Fail): StoredView {
  const [data, requiresGrad, hooks] = args;
  if (args.length !== 3 || !isKind(data, "tensor") || typeof requiresGrad !== "boolean" || !isEmptyDict(hooks)) {
    throw fail("REDUCE of _rebuild_parameter with other arguments than PyTorch's");
  }
  return data;
}

function isEmptyDict(value: Value | undefined): boolean {
  return isKind(value, "dict") && value.entries.length === 0;
}

function isCount(value: Value | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function counts(value: Value | undefined): number[] | null {
  return isKind(value, "tuple") && value.items.every(isCount) ? (value.items as number[]) : null;
}
