import { show } from "../checks.js";
import { badCheckpoint } from "./bad_checkpoint.js";
import { type CheckpointValue, MAX_DEPTH, MAX_OBJECTS } from "./checkpoint_value.js";
import { type Dict, kindOf, type Value } from "./pickle/values.js";
import type { StorageReader } from "./storage_reader.js";
import type { AnyTensor } from "./stored_types.js";

interface Part {
  readonly value: CheckpointValue;
  /** The number of values in it; a shared value counts once per use. */
  readonly size: number;
  /** The number of levels. */
  readonly height: number;
}

/** A pickle's value in the library's types, and its tensors with their paths. Shared values stay shared. */
export function plainValue(
  root: Value,
  storages: StorageReader,
  name: string,
): { value: CheckpointValue; tensors: [path: string, tensor: AnyTensor][] } {
  const reader = new PlainReader(storages, name);
  return { value: reader.read(root, "", 1).value, tensors: reader.tensors };
}

class PlainReader {
  readonly tensors: [path: string, tensor: AnyTensor][] = [];
  readonly #known = new Map<Value, Part>();

  constructor(
    private readonly storages: StorageReader,
    private readonly name: string,
  ) {}

  read(value: Value, path: string, depth: number): Part {
    if (typeof value !== "object" || value === null) return { value, size: 1, height: 1 };
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    // Also ends the recursion if a value contains itself.
    if (depth > MAX_DEPTH) throw this.#tooDeep();
    const part = this.#build(value, path, depth);
    // A few values that refer to each other twice would unfold into more than any program could traverse.
    if (part.size > MAX_OBJECTS) throw badCheckpoint(this.name, `holds more than ${MAX_OBJECTS} values`);
    if (part.height > MAX_DEPTH) throw this.#tooDeep();
    this.#known.set(value, part);
    return part;
  }

  #build(value: Exclude<Value, Scalar>, path: string, depth: number): Part {
    switch (value.kind) {
      case "tensor": {
        const tensor = this.storages.tensor(path, value);
        this.tensors.push([path, tensor]);
        return { value: tensor, size: 1, height: 1 };
      }
      case "list":
      case "tuple": {
        const parts = value.items.map((item, i) => this.read(item, below(path, i), depth + 1));
        const items = parts.map((part) => part.value);
        return { value: value.kind === "tuple" ? Object.freeze(items) : items, ...measured(parts) };
      }
      case "dict":
        return this.#dict(value, path, depth);
      default:
        throw badCheckpoint(this.name, `holds a ${kindOf(value)} under ${show(path)}, which is not read`);
    }
  }

  #dict({ entries }: Dict, path: string, depth: number): Part {
    const parts = new Map<string | number, Part>();
    for (const [key, value] of entries) {
      if (typeof key !== "string" && !Number.isSafeInteger(key)) {
        const text = `a key in ${show(path)} is a ${kindOf(key)}; only str and int of less than 2^53 are read`;
        throw badCheckpoint(this.name, text);
      }
      const place = below(path, key as string | number);
      if (parts.has(key as string | number)) throw badCheckpoint(this.name, `the key ${show(place)} is repeated`);
      parts.set(key as string | number, this.read(value, place, depth + 1));
    }
    const values = [...parts].map(([key, part]): [string | number, CheckpointValue] => [key, part.value]);
    const texts = values.every(([key]) => typeof key === "string");
    return { value: texts ? Object.fromEntries(values) : new Map(values), ...measured([...parts.values()]) };
  }

  #tooDeep(): Error {
    return badCheckpoint(this.name, `its values are nested deeper than ${MAX_DEPTH}, or one contains itself`);
  }
}

type Scalar = null | boolean | number | bigint | string;

const below = (path: string, key: string | number) => (path === "" ? String(key) : `${path}.${key}`);

function measured(parts: readonly Part[]): { size: number; height: number } {
  return {
    size: parts.reduce((sum, { size }) => sum + size, 1),
    height: parts.reduce((most, { height }) => Math.max(most, height), 0) + 1,
  };
}
