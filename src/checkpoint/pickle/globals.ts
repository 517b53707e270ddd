import { show } from "../../checks.js";
import { STORED_TYPES, type StoredType } from "../stored_types.js";
import {
  type Bytes,
  type Dtype,
  type Foreign,
  type Global,
  isKind,
  kindOf,
  type Storage,
  type StoredView,
  type Value,
} from "./values.js";

/** What the reader provides at the current instruction. */
export interface Reading {
  /** Makes an error from an issue. */
  fail(problem: string): Error;
  /**
   * The placeholder for a value that is not read, if only the weights are read; otherwise throws. `place`: the position
   * of its instruction.
   */
  foreign(name: string, problem: string, place?: number): Foreign;
  /** The position of the current instruction. */
  readonly place: number;
  /** Whether values of foreign classes are left out instead of refused. */
  readonly leavesOut: boolean;
}

/** NumPy's functions that make a scalar: `np.float64(0.93)` is pickled as a call of `scalar`. In NumPy 1 and 2. */
const SCALARS: readonly string[] = ["numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar"];
const DTYPE = "numpy.dtype";
/** Bytes in Python's protocol 2: `_codecs.encode(text, "latin1")`. */
const ENCODE = "_codecs.encode";

const STORAGES = new Map<string, StoredType>(STORED_TYPES.map((type) => [`torch.${type.torch}`, type]));
const ORDERED_DICT = "collections.OrderedDict";
/** Holds the milestones of a MultiStepLR. */
const COUNTER = "collections.Counter";
const REBUILD_TENSOR = "torch._utils._rebuild_tensor_v2";
/** A tensor of PyTorch before 0.4, which has no gradient. */
const REBUILD_OLD_TENSOR = "torch._utils._rebuild_tensor";
const REBUILD_PARAMETER = "torch._utils._rebuild_parameter";
/** A parameter and a tensor on which a program set attributes. */
const REBUILD_WITH_STATE = "torch._utils._rebuild_parameter_with_state";
const REBUILD_FROM_TYPE = "torch._tensor._rebuild_from_type_v2";
const TENSOR_TYPES = ["torch.Tensor", "torch.nn.parameter.Parameter"];
const TENSORS = [
  ...TENSOR_TYPES,
  ORDERED_DICT,
  COUNTER,
  REBUILD_TENSOR,
  REBUILD_OLD_TENSOR,
  REBUILD_PARAMETER,
  REBUILD_WITH_STATE,
  REBUILD_FROM_TYPE,
  ...STORAGES.keys(),
];
const ALLOWED = new Set([...TENSORS, ...SCALARS, DTYPE, ENCODE]);

/** The global with a name, if a dictionary of tensors may contain it; every other is foreign. */
export function globalNamed(name: string, reading: Reading): Global | Foreign {
  if (name === COUNTER) return { kind: "global", name, place: reading.place };
  if (ALLOWED.has(name)) return { kind: "global", name };
  if (/^torch\.\w+Storage$/.test(name)) {
    const read = STORED_TYPES.map((type) => type.torch).join(", ");
    return reading.foreign(name, `GLOBAL ${show(name)}: elements of this type are not read, only ${read}`);
  }
  return reading.foreign(name, notAllowed(name, reading));
}

function notAllowed(name: string, { leavesOut }: Reading): string {
  const text = "is not allowed: only tensors, numbers and texts are read, and nothing of the file is run";
  const advice = leavesOut ? "" : "; load(file) reads the weights and leaves the rest out";
  return `GLOBAL ${show(name)} ${text}${advice}`;
}

/** The result of calling one of the globals, made without calling anything. */
export function reduce(callee: Value, args: Value, reading: Reading): Value {
  if (isKind(callee, "foreign")) return callee;
  if (!isKind(callee, "global") || !isKind(args, "tuple")) {
    throw reading.fail(`REDUCE of a ${kindOf(callee)} with a ${kindOf(args)} is not allowed`);
  }
  const { items } = args;
  if (callee.name === REBUILD_TENSOR) return tensorView(items, reading);
  if (callee.name === REBUILD_OLD_TENSOR) return oldTensorView(items, reading);
  if (callee.name === REBUILD_PARAMETER) return parameterView(items, reading);
  if (callee.name === REBUILD_WITH_STATE) return parameterView(items.slice(0, -1), reading);
  if (callee.name === REBUILD_FROM_TYPE) return typedTensor(items, reading);
  if (SCALARS.includes(callee.name)) return number(items, reading);
  const made = madeOf(callee.name, items);
  if (made !== null) return made;
  if (callee.place !== undefined) return reading.foreign(callee.name, notAllowed(callee.name, reading), callee.place);
  throw reading.fail(`REDUCE of ${show(callee.name)} with ${items.length} arguments is not allowed`);
}

/** Values that equal their arguments; null for arguments that Python would not write. */
function madeOf(name: string, args: readonly Value[]): Value {
  if (name === DTYPE) return dtypeOf(args);
  if (name === ENCODE) return encoded(args);
  const [counts] = args;
  if (name === COUNTER) return args.length === 1 && isKind(counts, "dict") ? counts : null;
  return name === ORDERED_DICT && args.length === 0 ? { kind: "dict", ordered: true, entries: [] } : null;
}

function number(args: readonly Value[], reading: Reading): Value {
  const made = scalarOf(args);
  return "value" in made ? made.value : reading.foreign(SCALARS[0], made.problem);
}

/** The storage that a persistent id names: `("storage", torch.FloatStorage, "0", "cpu", 6)`. */
export function storageOf(id: Value, { fail }: Reading): Storage | Foreign {
  const items = isKind(id, "tuple") ? id.items : [];
  const [tag, type, key, location, count] = items;
  if (items.length !== 5 || tag !== "storage" || typeof key !== "string" || typeof location !== "string") {
    throw fail("BINPERSID of something else than a storage");
  }
  if (isKind(type, "foreign")) return type;
  const stored = isKind(type, "global") ? STORAGES.get(type.name) : undefined;
  if (stored === undefined) throw fail("BINPERSID of a storage without a known type");
  if (!isCount(count)) throw fail(`BINPERSID of a storage with ${String(count)} elements`);
  return { kind: "storage", type: stored, key, count };
}

function tensorView(args: readonly Value[], { fail, foreign }: Reading): StoredView | Foreign {
  const [storage, offset, shape, strides, requiresGrad, hooks, metadata = null] = args;
  if (isKind(storage, "foreign")) return storage;
  if (args.length < 6 || args.length > 7 || !isKind(storage, "storage") || typeof requiresGrad !== "boolean") {
    throw fail("REDUCE of _rebuild_tensor_v2 with other arguments than PyTorch's");
  }
  if (!isEmptyDict(hooks)) return foreign("torch.Tensor", "a tensor with backward hooks is not allowed");
  if (metadata !== null && !isEmptyDict(metadata)) {
    return foreign(
      "torch.Tensor",
      "a conjugate or negative view is not read: write tensor.resolve_conj().resolve_neg()",
    );
  }
  if (!isCount(offset)) throw fail(`a tensor's offset is ${String(offset)}`);
  const [lengths, steps] = [counts(shape), counts(strides)];
  if (lengths === null || steps === null || lengths.length !== steps.length) {
    throw fail("a tensor's shape and strides are not two tuples of as many whole numbers");
  }
  return { kind: "tensor", storage, offset, shape: lengths, strides: steps };
}

function oldTensorView(args: readonly Value[], reading: Reading): StoredView | Foreign {
  const noHooks: Value = { kind: "dict", ordered: true, entries: [] };
  if (args.length === 4) return tensorView([...args, false, noHooks], reading);
  throw reading.fail("REDUCE of _rebuild_tensor with other arguments than PyTorch's");
}

function parameterView(args: readonly Value[], { fail }: Reading): StoredView | Foreign {
  const [data, requiresGrad, hooks] = args;
  if (isKind(data, "foreign")) return data;
  if (args.length !== 3 || !isKind(data, "tensor") || typeof requiresGrad !== "boolean" || !isEmptyDict(hooks)) {
    throw fail("REDUCE of _rebuild_parameter with other arguments than PyTorch's");
  }
  return data;
}

/** A tensor on which a program set attributes, which are dropped; a subclass is foreign. */
function typedTensor([callee, type, args]: readonly Value[], reading: Reading): StoredView | Foreign {
  const isTensor = isKind(type, "global") && TENSOR_TYPES.includes(type.name);
  if (isTensor && isKind(callee, "global") && isKind(args, "tuple")) {
    if (callee.name === REBUILD_TENSOR) return tensorView(args.items, reading);
    if (callee.name === REBUILD_PARAMETER) return parameterView(args.items, reading);
  }
  return reading.foreign(
    isKind(type, "foreign") ? type.name : REBUILD_FROM_TYPE,
    notAllowed(REBUILD_FROM_TYPE, reading),
  );
}

function isEmptyDict(value: Value | undefined): boolean {
  return isKind(value, "dict") && value.entries.length === 0;
}

/** Whether a value is a number of elements, or a placeholder for one. */
export function isCount(value: Value | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function counts(value: Value | undefined): readonly number[] | null {
  if (!isKind(value, "tuple")) return null;
  const { items } = value;
  return items.every(isCount) ? items : null;
}

const half = STORED_TYPES.find(({ dtype }) => dtype === "float16");

type Read = (bytes: Buffer) => number | bigint | boolean;

/** Reads a number of a type from its little-endian bytes. */
const NUMBERS: ReadonlyMap<string, Read> = new Map<string, Read>([
  ["b1", (bytes) => bytes[0] !== 0],
  ["i1", (bytes) => bytes.readInt8()],
  ["u1", (bytes) => bytes.readUInt8()],
  ["i2", (bytes) => bytes.readInt16LE()],
  ["u2", (bytes) => bytes.readUInt16LE()],
  ["i4", (bytes) => bytes.readInt32LE()],
  ["u4", (bytes) => bytes.readUInt32LE()],
  ["i8", (bytes) => bytes.readBigInt64LE()],
  ["u8", (bytes) => bytes.readBigUInt64LE()],
  ["f2", (bytes) => half?.decode(bytes)[0] as number],
  ["f4", (bytes) => bytes.readFloatLE()],
  ["f8", (bytes) => bytes.readDoubleLE()],
]);

/** `numpy.dtype("f8", False, True)`; its byte order follows later. Null for other arguments. */
function dtypeOf(args: readonly Value[]): Dtype | null {
  const [code, align, copy] = args;
  if (args.length !== 3 || typeof code !== "string" || align !== false || copy !== true) return null;
  return { kind: "dtype", code, order: null };
}

/** The byte order in a dtype's state, `(3, "<", None, None, None, -1, -1, 0)`; null for any other value. */
export function orderOf(state: Value): string | null {
  const [version, order] = isKind(state, "tuple") ? state.items : [];
  return version === 3 && typeof order === "string" ? order : null;
}

/** Null unless the value is a text of bytes. */
function encoded(args: readonly Value[]): Bytes | null {
  const [text, codec] = args;
  if (args.length !== 2 || typeof text !== "string" || codec !== "latin1" || /[^\0-\xff]/.test(text)) return null;
  return { kind: "bytes", text };
}

/** The number that a type and its bytes make, or the text of an issue. */
function scalarOf(args: readonly Value[]): { value: number | bigint | boolean } | { problem: string } {
  const [type, bytes] = args;
  if (args.length !== 2 || !isKind(type, "dtype") || !isKind(bytes, "bytes")) {
    return { problem: "REDUCE of NumPy's scalar with other arguments than NumPy's" };
  }
  const read = NUMBERS.get(type.code);
  const width = Number(type.code.slice(1));
  if (read === undefined || type.order !== (width === 1 ? "|" : "<")) {
    const known = [...NUMBERS.keys()].join(", ");
    return { problem: `a NumPy value of type ${show(`${type.order ?? ""}${type.code}`)}: only ${known} are read` };
  }
  if (bytes.text.length !== width) {
    return { problem: `a NumPy value of type ${show(type.code)} in ${bytes.text.length} bytes` };
  }
  const value = read(Buffer.from(bytes.text, "latin1"));
  if (typeof value !== "bigint") return { value };
  if (BigInt.asIntN(64, value) !== value) return { problem: "a number is too large" };
  return { value: Number.isSafeInteger(Number(value)) ? Number(value) : value };
}
