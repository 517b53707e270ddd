import { show } from "../checks.js";
import { badCheckpoint, saveAgain, TRUSTED } from "./bad_checkpoint.js";
import { type Dict, type Foreign, isKind, kindOf, type StoredView, type Value } from "./pickle/values.js";

const PLAIN_ONLY = "only plain dictionaries of tensors are read";
/** Common keys of the weights in a checkpoint dictionary. Tensors beside such a key are not weights. */
const USUAL_NAMES: readonly string[] = ["state_dict", "model_state_dict", "model"];
const MAX_LEVELS = 4;
const MAX_SHOWN = 8;

/** The tensors of a state dict in the file's order, and what was left out beside and among them, in words. */
interface FoundStateDict {
  tensors: [key: string, view: StoredView][];
  leftOut: string[];
}

/** A dictionary of tensors and its path: keys joined by points, empty for the root. */
interface Candidate {
  path: string;
  dict: Dict;
}

/**
 * The state dict of a checkpoint. If `key` is given, the one at that key or path of keys joined by points; otherwise
 * the root, or the only one at the highest level that has any. Two or more at that level are refused with their names.
 * Values of other types and classes, beside the tensors and among them, are left out.
 */
export function findStateDict(root: Value, key: string | undefined, name: string): FoundStateDict {
  const { path, dict } = key === undefined ? onlyCandidate(root, name) : candidateAt(root, key, name);
  return { tensors: tensorsOf(dict, name), leftOut: leftOut(root, { path, dict }) };
}

function onlyCandidate(root: Value, name: string): Candidate {
  const nested = nestedIn(root, hasWeights);
  if (isKind(root, "dict") && (hasWeights(root) || (nested.length === 0 && hasTensors(root)))) {
    const [only] = nested;
    const isBeside = nested.length === 1 && USUAL_NAMES.includes(only.path);
    // The keys of a state dict are paths of modules; those of a checkpoint are names.
    if (nested.length === 0 || (!isBeside && hasPaths(root))) return { path: "", dict: root };
    if (isBeside && !hasPaths(root)) return only;
    throw badCheckpoint(name, choiceOf(root, nested));
  }
  const candidates = nested.length > 0 ? nested : nestedIn(root, hasTensors);
  if (candidates.length === 1) return candidates[0];
  throw candidates.length === 0 ? noWeights(root, name) : badCheckpoint(name, choiceOf(root, candidates));
}

function candidateAt(root: Value, key: string, name: string): Candidate {
  const found = valueAt(root, key, name);
  if (isKind(found, "dict") && hasTensors(found)) return { path: key, dict: found };
  const nested = nestedIn(root, hasTensors);
  const isAtTop = isKind(root, "dict") && root.entries.length > 0 && hasTensors(root);
  if (nested.length === 0 && !isAtTop) throw noWeights(root, name);
  const held = found === undefined ? "nothing" : `a ${kindOf(found)}${isKind(found, "dict") ? " without tensors" : ""}`;
  const advice = nested.length > 0 ? choiceOf(root, nested) : "its tensors are at its top: leave the key out";
  throw badCheckpoint(name, `holds ${held} under ${show(key)}; ${advice}`);
}

/** The value at a key, or at a path of keys joined by points. */
function valueAt(root: Value, key: string, name: string): Value | undefined {
  if (key === "") return root;
  const found = entriesOf(root).filter((entry) => entry.key === key);
  if (found.length > 1) throw badCheckpoint(name, `the key ${show(key)} is repeated`);
  if (found.length === 1) return found[0].value;
  for (let at = key.indexOf("."); at >= 0; at = key.indexOf(".", at + 1)) {
    const outer = entriesOf(root).find((entry) => entry.key === key.slice(0, at));
    if (outer !== undefined) return valueAt(outer.value, key.slice(at + 1), name);
  }
  return undefined;
}

/** The dictionaries of a kind below a value, at the highest level that has any. */
function nestedIn(root: Value, isWanted: (dict: Dict) => boolean): Candidate[] {
  let level = [{ path: "", value: root }];
  const seen = new Set<Value>([root]);
  for (let depth = 0; depth < MAX_LEVELS; depth++) {
    level = level.flatMap(({ path, value }) =>
      entriesOf(value).flatMap((entry) => {
        if (typeof entry.value !== "object" || seen.has(entry.value)) return [];
        seen.add(entry.value);
        return [{ path: path === "" ? entry.key : `${path}.${entry.key}`, value: entry.value }];
      }),
    );
    const found = level.flatMap(({ path, value }) =>
      isKind(value, "dict") && value.entries.length > 0 && isWanted(value) ? [{ path, dict: value }] : [],
    );
    if (found.length > 0) return found;
  }
  return [];
}

interface Entry {
  key: string;
  value: Value;
}

/** The values in a dictionary, a list or a tuple. An optimizer's state is not searched for weights. */
function entriesOf(value: Value): Entry[] {
  if (isKind(value, "list") || isKind(value, "tuple")) {
    return value.items.map((item, i) => ({ key: String(i), value: item }));
  }
  if (!isKind(value, "dict") || isOptimizer(value)) return [];
  return value.entries.flatMap(([key, item]) => (typeof key === "string" ? [{ key, value: item }] : []));
}

function isOptimizer({ entries }: Dict): boolean {
  return entries.some(([key]) => key === "param_groups");
}

/** Whether a dictionary has a tensor that is not a scalar, a counter or the state of a random stream. */
function hasWeights({ entries }: Dict): boolean {
  return entries.some(([key, value]) => typeof key === "string" && isWeight(value));
}

function isWeight(value: Value): boolean {
  return isKind(value, "tensor") && value.shape.length > 0 && value.storage.type.dtype.includes("float");
}

/** Whether a dictionary can be a state dict. */
function hasTensors(dict: Dict): boolean {
  const { entries } = dict;
  if (isOptimizer(dict)) return false;
  return entries.length === 0 || entries.some(([, value]) => isKind(value, "tensor") || isOtherTensor(value));
}

function hasPaths({ entries }: Dict): boolean {
  return entries.some(([key, value]) => typeof key === "string" && key.includes(".") && isWeight(value));
}

/** A tensor of a type that is not read. Among weights it must not be left out. */
function isOtherTensor(value: Value): value is Foreign {
  return isKind(value, "foreign") && /^torch\.(\w+Storage|Tensor)$|^torch\._utils\._rebuild_/.test(value.name);
}

function tensorsOf({ entries }: Dict, name: string): [string, StoredView][] {
  const seen = new Set<string>();
  return entries.flatMap(([key, value]): [string, StoredView][] => {
    if (isOtherTensor(value)) {
      const problem = OTHER_TENSORS[value.name];
      throw problem === undefined ? value.refusal() : badCheckpoint(name, `${nameOf(key)} ${problem}`);
    }
    if (!isKind(value, "tensor")) return [];
    if (typeof key !== "string") throw badCheckpoint(name, `a key is a ${kindOf(key)}, not a str; ${PLAIN_ONLY}`);
    if (seen.has(key)) throw badCheckpoint(name, `the key ${show(key)} is repeated`);
    seen.add(key);
    return [[key, value]];
  });
}

/**
 * Kinds of PyTorch tensors that are not read, by the functions that make them, and the Python code that turns them into
 * plain ones.
 */
const OTHER_TENSORS: Readonly<Record<string, string>> = {
  "torch._utils._rebuild_sparse_tensor": "is a sparse tensor, which is not read: in Python, save its .to_dense()",
  "torch._utils._rebuild_qtensor": "is a quantized tensor, which is not read: in Python, save its .dequantize()",
  "torch._utils._rebuild_tensor_v3":
    "has elements of a type that is not read, such as float8: in Python, save its .float()",
  "torch._utils._rebuild_meta_tensor_no_storage": "is a tensor without values, on the device meta",
};

/**
 * The parts of a checkpoint that are not read: among the weights everything else, beside them other tensors and
 * classes.
 */
function leftOut(root: Value, { path, dict }: Candidate): string[] {
  const among = dict.entries.flatMap(([key, value]) =>
    isKind(value, "tensor") ? [] : [shown(path === "" || typeof key !== "string" ? key : `${path}.${key}`, value)],
  );
  if (path === "" || !isKind(root, "dict")) return among;
  const beside = root.entries.flatMap(([key, value]) => {
    if (value === dict) return [];
    const found = isWeight(value) ? value : foreignIn(value, dict);
    return found === null ? [] : [shown(key, found)];
  });
  return [...beside, ...among];
}

function shown(key: Value, value: Value): string {
  return `${nameOf(key)} (a ${kindOf(value)})`;
}

function nameOf(key: Value): string {
  return typeof key === "string" ? show(key) : typeof key === "number" ? String(key) : `a ${kindOf(key)}`;
}

/** The first foreign value in a value, outside of `weights`. Each value is visited once, so cycles end. */
function foreignIn(root: Value, weights: Dict): Foreign | null {
  const [seen, waiting] = [new Set<Value>([weights]), [root]];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (isKind(value, "foreign")) return value;
    if (seen.has(value)) continue;
    seen.add(value);
    if (isKind(value, "dict")) for (const pair of value.entries) waiting.push(...pair);
    else if (isKind(value, "list") || isKind(value, "tuple")) for (const item of value.items) waiting.push(item);
  }
  return null;
}

function choiceOf(root: Value, nested: readonly Candidate[]): string {
  const names = nested.map(({ path }) => show(path));
  const some = names.length > MAX_SHOWN ? [...names.slice(0, MAX_SHOWN), "..."] : names;
  const own = isKind(root, "dict") && hasWeights(root) ? `; others are at the top, under ""` : "";
  const [{ path }] = nested;
  const choice = `choose one, as in load(file, { key: ${show(path)} }), on the command line --key ${path}`;
  return `state dicts are under ${some.join(", ")}${own}: ${choice}`;
}

/** The error for a file without weights: what it is, and how to fix it. */
function noWeights(root: Value, file: string): Error {
  const entries: [Value, Value][] = isKind(root, "dict") ? root.entries : [];
  const [key, module] = [["", root] as const, ...entries].find(([, value]) => isModule(value)) ?? [];
  if (isKind(module, "foreign")) {
    const [place, part] = key === "" ? ["is", ""] : [`holds under ${show(String(key))}`, `[${JSON.stringify(key)}]`];
    const text = `${place} a whole network, pickled by its class ${show(module.name)}, which is not read`;
    return badCheckpoint(file, `${text}: ${saveAgain(file, TRUSTED, `${part}.state_dict()`)}`);
  }
  if (isKind(root, "foreign")) return foreignValue(root, "", file);
  if (!isKind(root, "dict")) return badCheckpoint(file, `holds a ${kindOf(root)}; ${PLAIN_ONLY}`);
  if (isOptimizer(root)) return badCheckpoint(file, "holds an optimizer's state and no weights");
  const [under, foreign] = entries.find(([, value]) => isKind(value, "foreign")) ?? [];
  if (isKind(foreign, "foreign") && isArray(foreign)) {
    const line = `torch.save({k: torch.from_numpy(v) for k, v in torch.load(${JSON.stringify(file)}${TRUSTED}).items()}, "weights.pth")`;
    return badCheckpoint(file, `holds NumPy arrays and no tensors: in Python, ${line} mends it`);
  }
  if (isKind(foreign, "foreign")) return foreignValue(foreign, `[${JSON.stringify(under)}]`, file);
  const [first] = entries;
  const held = first === undefined ? "nothing" : `${nameOf(first[0])} holds a ${kindOf(first[1])}`;
  return badCheckpoint(file, `${held}; ${PLAIN_ONLY}; loadCheckpoint(file) gives all that a checkpoint holds`);
}

/**
 * The error for an instance of a class at the key that `part` selects. If the class is like a dictionary, it says how
 * to make a dictionary of it.
 */
function foreignValue(value: Foreign, part: string, file: string): Error {
  const [, kind] = /(dict|namespace)[^.]*$/i.exec(value.name) ?? [];
  if (kind === undefined) return value.refusal();
  const place = part === "" ? "is" : `holds under ${part.slice(1, -1)}`;
  const text = `${place} a value of ${show(value.name)}, which is not read`;
  const by = kind.toLowerCase() === "dict" ? "dict" : "vars";
  return badCheckpoint(file, `${text}: ${saveAgain(file, TRUSTED, part, by)}`);
}

function isModule(value: Value): boolean {
  return isKind(value, "foreign") && value.isModule === true;
}

function isArray({ name }: Foreign): boolean {
  return /^numpy\.(_core|core)\.multiarray\._reconstruct$/.test(name);
}
