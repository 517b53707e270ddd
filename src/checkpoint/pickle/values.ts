import { show } from "../../checks.js";
import type { StoredType } from "../stored_types.js";

/** What a pickle of tensors is made of: data only. Nothing here can be called. */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Tuple
  | List
  | Dict
  | Global
  | Storage
  | StoredView
  | Dtype
  | Bytes
  | Foreign;

interface Tuple {
  readonly kind: "tuple";
  readonly items: readonly Value[];
}

interface List {
  readonly kind: "list";
  readonly items: Value[];
}

/** A dict or, with `ordered`, an OrderedDict, as the pairs that were set, in that order. */
export interface Dict {
  readonly kind: "dict";
  readonly ordered: boolean;
  readonly entries: [Value, Value][];
}

/** One of the names of {@link import("./globals.js").globalNamed}: a word, not a function. */
export interface Global {
  readonly kind: "global";
  readonly name: string;
  /** The place of a name that is allowed with its usual arguments only. */
  readonly place?: number;
}

/** The elements of one or more tensors: what the file keeps under its key. */
export interface Storage {
  readonly kind: "storage";
  readonly type: StoredType;
  readonly key: string;
  readonly count: number;
  /** The elements that it is of those under its key, all of them unless given. */
  readonly part?: { readonly offset: number; readonly count: number };
}

/** A tensor: which elements of a storage, and how they are laid out; nothing is checked against the storage yet. */
export interface StoredView {
  readonly kind: "tensor";
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** A type of NumPy's numbers: `f8`. */
export interface Dtype {
  readonly kind: "dtype";
  readonly code: string;
  /** `<`: little-endian. Set after the type is made. */
  order: string | null;
}

/** Bytes as the text of their characters, 0 to 255. */
export interface Bytes {
  readonly kind: "bytes";
  readonly text: string;
}

/** A placeholder for a value that is not read: the name of its class. */
export interface Foreign {
  readonly kind: "foreign";
  readonly name: string;
  /** The error of a file in which it stands where a tensor has to. */
  refusal(): Error;
  /** Whether it is a network, pickled whole. */
  isModule?: boolean;
}

/** The name of a value's type for a message. */
export function kindOf(value: Value): string {
  if (value === null) return "None";
  if (typeof value === "object") {
    if (value.kind !== "foreign") return value.kind;
    return `${value.isModule ? "whole network" : "value"} of ${show(value.name)}`;
  }
  return { boolean: "bool", number: "number", bigint: "number", string: "str" }[typeof value as Scalar];
}

type Scalar = "boolean" | "number" | "bigint" | "string";
type Kinds = {
  tuple: Tuple;
  list: List;
  dict: Dict;
  global: Global;
  storage: Storage;
  tensor: StoredView;
  dtype: Dtype;
  bytes: Bytes;
  foreign: Foreign;
};

/** Whether a value is of one of the kinds that are objects. */
export function isKind<K extends keyof Kinds>(value: Value | undefined, kind: K): value is Kinds[K] {
  return typeof value === "object" && value !== null && value.kind === kind;
}
