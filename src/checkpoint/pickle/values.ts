import { show } from "../../checks.js";
import type { StoredType } from "../stored_types.js";

/** The values in a pickle of tensors: data only, none of which can be called. */
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

/** One of the names of {@link import("./globals.js").globalNamed}: a name, not a function. */
export interface Global {
  readonly kind: "global";
  readonly name: string;
  /** The position of a name that is allowed only with its usual arguments. */
  readonly place?: number;
}

/** The elements of one or more tensors, stored in the file under its key. */
export interface Storage {
  readonly kind: "storage";
  readonly type: StoredType;
  readonly key: string;
  readonly count: number;
  /** Which of the elements under its key it consists of; default: all. */
  readonly part?: { readonly offset: number; readonly count: number };
}

/** A tensor as a view of a storage, not yet checked against the storage. */
export interface StoredView {
  readonly kind: "tensor";
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** A numeric type of NumPy: `f8`. */
export interface Dtype {
  readonly kind: "dtype";
  readonly code: string;
  /** `<`: little-endian. Set after the type is made. */
  order: string | null;
}

/** Bytes as a text of characters from 0 to 255. */
export interface Bytes {
  readonly kind: "bytes";
  readonly text: string;
}

/** A placeholder for a value that is not read, with the name of its class. */
export interface Foreign {
  readonly kind: "foreign";
  readonly name: string;
  /** The error for a file in which it is in place of a tensor. */
  refusal(): Error;
  /** Whether it is a pickled network. */
  isModule?: boolean;
}

/** How messages name a value's type. */
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
