import { badCheckpoint, quote } from "./bad_checkpoint.js";
import { type Dict, type Foreign, isKind, kindOf, type StoredView, type Value } from "./pickle_values.js";

const PLAIN_ONLY = "only plain dictionaries of tensors are read";
/** What PyTorch's tutorials and trainers call the weights in a checkpoint dictionary. */
const USUAL_NAMES: readonly unknown[] = ["state_dict", "model_state_dict", "model"];

type Entries = [key: string, view: StoredView][];

/**
 * The state dict of a file: the one under `key` where one is named; else the whole file, if it holds tensors only; else
 * the one that stands under a usual name, if no other is in the file. Anything that would be a guess is refused, and the
 * names to choose from are told.
 */
export function findStateDict(root: Value, key: string | undefined, name: string): Entries {
  if (!isKind(root, "dict")) throw badCheckpoint(name, `holds a ${kindOf(root)}; ${PLAIN_ONLY}`);
  if (key !== undefined) return entryOf(root, key, name);
  const [nested, ...others] = nestedIn(root);
  if (nested !== undefined && others.length === 0 && USUAL_NAMES.includes(nested[0])) {
    if (!root.entries.some(([, value]) => isKind(value, "tensor"))) return tensorsOf(nested[1], choice(root), name);
  }
  return tensorsOf(root, choice(root), name);
}

function entryOf(root: Dict, key: string, name: string): Entries {
  const found = root.entries.filter(([other]) => other === key).map(([, value]) => value);
  if (found.length > 1) throw badCheckpoint(name, `the key ${quote(key)} stands twice`);
  const [value] = found;
  if (isKind(value, "dict")) return tensorsOf(value, `${quote(key)} is no state dict: ${choice(root)}`, name);
  throw badCheckpoint(
    name,
    `holds ${value === undefined ? "nothing" : `a ${kindOf(value)}`} under ${quote(key)}; ${choice(root)}`,
  );
}

function tensorsOf({ entries }: Dict, advice: string, name: string): Entries {
  const seen = new Set<string>();
  return entries.map(([key, value]) => {
    if (typeof key !== "string") throw badCheckpoint(name, `a key is a ${kindOf(key)}, not a str; ${advice}`);
    if (seen.has(key)) throw badCheckpoint(name, `the key ${quote(key)} stands twice`);
    seen.add(key);
    if (!isKind(value, "tensor")) throw badCheckpoint(name, `${quote(key)} holds a ${kindOf(value)}; ${advice}`);
    return [key, value];
  });
}

/** The state dicts directly in a dictionary, empty ones aside. */
function nestedIn({ entries }: Dict): [key: Value, dict: Dict][] {
  return entries.flatMap(([key, value]): [Value, Dict][] => {
    if (!isKind(value, "dict") || value.entries.length === 0) return [];
    return value.entries.every(([inner, tensor]) => typeof inner === "string" && isKind(tensor, "tensor"))
      ? [[key, value]]
      : [];
  });
}

/** How to get at the tensors of a checkpoint that holds more than them. */
function choice(root: Dict): string {
  const keys = nestedIn(root).flatMap(([key]) => (typeof key === "string" ? [quote(key)] : []));
  if (keys.length === 0) return `${PLAIN_ONLY}; loadCheckpoint(file) gives all that a checkpoint holds`;
  const shown = keys.length > 8 ? [...keys.slice(0, 8), "..."] : keys;
  return `state dicts stand under ${shown.join(", ")}: choose one, as in load(file, { key: ${keys[0]} })`;
}

/** The entries of a checkpoint that are, or hold, values that were left out: each with the class of one. */
export function leftOut(root: Value): string[] {
  if (!isKind(root, "dict")) return [];
  return root.entries.flatMap(([key, value]) => {
    const found = foreignIn(value);
    if (found === null) return [];
    const name = typeof key === "string" ? quote(key) : typeof key === "number" ? String(key) : `a ${kindOf(key)}`;
    return [`${name} (a ${kindOf(found)})`];
  });
}

/** The first foreign value in a value; each is looked at once, so that those in themselves end too. */
function foreignIn(root: Value): Foreign | null {
  const [seen, waiting] = [new Set<Value>(), [root]];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (isKind(value, "foreign")) return value;
    if (seen.has(value)) continue;
    seen.add(value);
    if (isKind(value, "dict")) for (const pair of value.entries) waiting.push(...pair);
    else if (isKind(value, "list") || isKind(value, "tuple")) for (const item of value.items) waiting.push(item);
  }
  return null;
}
