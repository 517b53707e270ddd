import { badArgument, expectFlags, expectOptions, expectPath, show } from "../checks.js";
import { readWhole } from "../files/index.js";
import { native } from "../native.js";
import type { StateDict } from "../nn/state_dict.js";
import { Tensor } from "../tensor/tensor.js";
import { badCheckpoint } from "./bad_checkpoint.js";
import type { CheckpointValue } from "./checkpoint_value.js";
import { otherFile } from "./other_files.js";
import { plainValue } from "./plain_value.js";
import { decodePth, isPth, openPth } from "./pth.js";
import { readStored } from "./safetensors.js";
import type { AnyTensor, StoredDtype, StoredTensor } from "./stored_types.js";

/** The options of {@link loadCheckpoint}. */
export interface LoadCheckpointOptions {
  /** Whether tensors may hold NaN or infinities; default false. */
  allowNonFinite?: boolean;
}

/** The options of {@link load}. */
export interface LoadOptions extends LoadCheckpointOptions {
  /**
   * The key of the state dict in a checkpoint dictionary: `model`, or several keys joined by points; empty for the
   * tensors at the root.
   */
  key?: string;
  /**
   * A prefix of the file's keys that the network's keys lack. It is removed, and tensors under other keys are left out.
   */
  stripPrefix?: string;
  /** Called with a line about what was left out beside the weights or among them. */
  onNote?: (text: string) => void;
}

/** The options of {@link load} that select tensors. */
export type ReadOptions = Pick<LoadOptions, "key" | "stripPrefix" | "onNote">;

/** The names of {@link ReadOptions}. */
export const READ_OPTIONS = ["key", "stripPrefix", "onNote"] as const;
/** The names of {@link LoadOptions}. */
export const LOAD_OPTIONS = ["allowNonFinite", ...READ_OPTIONS] as const;

/** Refuses reading options of the wrong type. */
function expectLoadOptions({ allowNonFinite = false, onNote }: LoadOptions): void {
  expectFlags({ allowNonFinite });
  if (onNote !== undefined && typeof onNote !== "function") throw badArgument("onNote", "a function", onNote);
}

/** What {@link inspectCheckpoint} returns. */
export interface CheckpointSummary {
  /** Determined by the content, whatever the file's name. */
  format: "pth" | "safetensors";
  /** The size of the file. */
  bytes: number;
  /** The tensors in the file's order, with the types that they have in the file. */
  tensors: { key: string; dtype: StoredDtype; shape: readonly number[] }[];
  /** The number of elements of the floating-point tensors, without BatchNorm's running statistics. */
  parameters: number;
  /** The metadata of a `.safetensors` file. */
  metadata: Record<string, string>;
}

/**
 * Reads a `.pth` file of PyTorch that holds a state dict, or a `.safetensors` file; the content decides which. Half,
 * bfloat16 and double tensors become float32; int32 and int64 stay; bool and shorter integers become int32. Nothing in
 * the file is ever run, and nothing is allocated beyond what the file's length supports.
 *
 * From a checkpoint dictionary, such as `torch.save({"epoch": 3, "model": net.state_dict(), ...})`, it reads the state
 * dict at `key` or, without a key, the only one in the file; if there are several, the error names them. Other values,
 * beside the weights and among them (numbers, an `argparse.Namespace`, a NumPy array), are left out.
 *
 * The keys are the file's. `loadStateDict` and `loadNetwork` remove prefixes that a wrapper put before all of them
 * (`module.`, `_orig_mod.`, ...); `stripPrefix` removes others.
 *
 * @throws DistilleryError `NOT_FOUND`; `IO_ERROR` for a folder or an unreadable file; `BAD_CHECKPOINT` for a file that
 * is damaged, foreign or holds no tensors, and for NaN and infinities unless `allowNonFinite`.
 * @example
 * ```ts
 * teacher.loadStateDict(await load("teacher.pth"));
 * ```
 */
export async function load(file: string, options: LoadOptions = {}): Promise<StateDict> {
  expectOptions("load", options, LOAD_OPTIONS);
  return (await loadWithMetadata(file, options)).state;
}

/** A state dict with its file's metadata, read as {@link load} does. */
export async function loadWithMetadata(
  file: string,
  options: LoadOptions,
): Promise<Pick<CheckpointSummary, "format" | "metadata"> & { state: StateDict }> {
  expectLoadOptions(options);
  const { format, stored, metadata } = await read(file, options);
  const entries = stored.map(({ key, tensor, dtype }): Entry => [key, tensor, dtype]);
  if (options.allowNonFinite !== true) refuseNonFinite(entries, file);
  return { format, state: Object.fromEntries(entries), metadata };
}

/**
 * Reads a whole checkpoint that PyTorch's `torch.save` or `saveCheckpoint` wrote: nested dictionaries, lists, tuples,
 * numbers (including NumPy's), texts and tensors, as {@link CheckpointValue} describes. Values of other classes are
 * refused. To read only the weights, use {@link load}.
 *
 * @throws DistilleryError as {@link load}.
 * @example
 * ```ts
 * const { model, optimizer } = (await loadCheckpoint("checkpoint.pth")) as CheckpointDict;
 * student.loadStateDict(model as StateDict);
 * new AdamW(student.parameters()).loadStateDict(optimizer);
 * ```
 */
export async function loadCheckpoint(file: string, options: LoadCheckpointOptions = {}): Promise<CheckpointValue> {
  expectOptions("loadCheckpoint", options, ["allowNonFinite"]);
  expectLoadOptions(options);
  const bytes = await readWhole(expectPath("file", file));
  if (!isPth(bytes)) {
    refuseOther(bytes, file);
    throw badCheckpoint(file, "a .safetensors file, which holds a state dict and no more: load(file) reads it");
  }
  const { root, storages } = await openPth(bytes, file);
  const { value, tensors } = plainValue(root, storages, file);
  if (options.allowNonFinite !== true) refuseNonFinite(tensors, file);
  return value;
}

/**
 * Describes the content of a checkpoint, which is read and checked as by {@link load}; NaN and infinities are allowed.
 *
 * @throws DistilleryError as {@link load}.
 * @example
 * ```ts
 * const { format, parameters } = await inspectCheckpoint("student.pth"); // "pth", 535818
 * ```
 */
export async function inspectCheckpoint(file: string, options: ReadOptions = {}): Promise<CheckpointSummary> {
  expectOptions("inspectCheckpoint", options, READ_OPTIONS);
  expectLoadOptions(options);
  const { format, bytes, stored, metadata } = await read(file, options);
  const tensors = stored.map(({ key, dtype, tensor }) => ({ key, dtype, shape: tensor.shape }));
  const parameters = stored.reduce((sum, entry) => sum + (isParameter(entry) ? entry.tensor.size : 0), 0);
  return { format, bytes, tensors, parameters, metadata };
}

const MAX_SHOWN = 4;

interface Contents {
  format: "pth" | "safetensors";
  bytes: number;
  stored: StoredTensor[];
  metadata: Record<string, string>;
}

async function read(file: string, options: ReadOptions): Promise<Contents> {
  const contents = await readContents(file, options);
  const { stripPrefix } = options;
  return stripPrefix === undefined ? contents : { ...contents, stored: stripped(contents.stored, file, options) };
}

/** The tensors whose keys begin with a prefix, with the prefix removed. */
function stripped(stored: readonly StoredTensor[], file: string, { stripPrefix, onNote }: ReadOptions): StoredTensor[] {
  if (typeof stripPrefix !== "string" || stripPrefix === "") {
    throw badArgument("stripPrefix", "what keys begin with", stripPrefix);
  }
  const kept = stored.filter(({ key }) => key.startsWith(stripPrefix) && key !== stripPrefix);
  if (kept.length === 0) {
    const keys = stored.slice(0, MAX_SHOWN).map(({ key }) => show(key));
    throw badCheckpoint(file, `no key begins with ${show(stripPrefix)}, which was to be taken off: ${keys.join(", ")}`);
  }
  const others = stored.length - kept.length;
  if (others > 0) onNote?.(`${file}: left out ${others} tensors whose keys do not begin with ${show(stripPrefix)}`);
  return kept.map((entry) => ({ ...entry, key: entry.key.slice(stripPrefix.length) }));
}

async function readContents(file: string, options: ReadOptions): Promise<Contents> {
  const { key } = options;
  if (key !== undefined && typeof key !== "string") {
    throw badArgument("key", "the key of a state dict", key);
  }
  const bytes = await readWhole(expectPath("file", file));
  if (isPth(bytes)) {
    return { format: "pth", bytes: bytes.length, stored: await decodePth(bytes, file, options), metadata: {} };
  }
  refuseOther(bytes, file);
  if (key !== undefined) throw badCheckpoint(file, "a .safetensors file, whose tensors are under no further key");
  return { format: "safetensors", bytes: bytes.length, ...readStored(bytes, file) };
}

function refuseOther(bytes: Uint8Array, file: string): void {
  // A .safetensors file: the header's length in 8 bytes, then the header, which begins with {.
  if (bytes[8] !== 0x7b || bytes[7] !== 0) throw badCheckpoint(file, otherFile(bytes, file));
}

function isParameter({ key, tensor }: StoredTensor): boolean {
  return tensor instanceof Tensor && !/(^|\.)running_(mean|var)$/.test(key);
}

type Entry = readonly [key: string, tensor: AnyTensor, dtype?: StoredDtype];

/**
 * Refuses a float tensor that holds NaN or an infinity, and names its key. Each buffer is searched once, however many
 * tensors share it.
 */
function refuseNonFinite(tensors: Iterable<Entry>, name: string): void {
  const known = new Map<ArrayBufferLike, readonly number[]>();
  for (const [key, tensor, dtype] of tensors) {
    if (!(tensor instanceof Tensor)) continue;
    const { buffer, byteOffset, length } = tensor.data;
    const places = known.get(buffer) ?? nonFinite(new Float32Array(buffer));
    known.set(buffer, places);
    if (places.length === 0) continue;
    const start = byteOffset / Float32Array.BYTES_PER_ELEMENT;
    const place = places[firstFrom(places, start)] ?? Number.POSITIVE_INFINITY;
    const isUnknown = place === Number.POSITIVE_INFINITY && places.length > MAX_NON_FINITE;
    if (place >= start + length && !isUnknown) continue;
    const found = isUnknown
      ? `lies behind more than ${MAX_NON_FINITE} numbers that are not finite`
      : `holds ${shownNonFinite(tensor.data[place - start], dtype)} as its element ${place - start}`;
    throw badCheckpoint(name, `${show(key)} ${found}; allowNonFinite (--allow-non-finite) reads it all the same`);
  }
}

/** Doubles become float32. */
function shownNonFinite(x: number, dtype: StoredDtype | undefined): string {
  return dtype === "float64" && !Number.isNaN(x) ? `${x}, or a number beyond float32's range,` : String(x);
}

/** The positions of more would fill the memory. */
const MAX_NON_FINITE = 1_000_000;

/** The indices of NaN and infinities in order, one more than the limit at most. */
function nonFinite(data: Float32Array): number[] {
  const places: number[] = [];
  const first = native.firstNonFinite(data);
  if (first < 0) return places;
  for (let i = first; i < data.length && places.length <= MAX_NON_FINITE; i++) {
    if (!Number.isFinite(data[i])) places.push(i);
  }
  return places;
}

/** The index of the first number that is at least `start`. */
function firstFrom(sorted: readonly number[], start: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < start) low = middle + 1;
    else high = middle;
  }
  return low;
}
