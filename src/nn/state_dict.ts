import { badArgument, badDtype, expectObject, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { IntTensor, LongTensor } from "../tensor/int_tensor.js";
import { Tensor } from "../tensor/tensor.js";
import { prefixAdvice, type Unwrapped, unwrapped } from "./key_prefixes.js";

/** Tensors under PyTorch's keys: `fc1.weight`, `bn1.running_var`, `bn1.num_batches_tracked`. */
export type StateDict = Record<string, Tensor | IntTensor | LongTensor>;

/** PyTorch before 0.4.1 had no such counter; its files load in PyTorch of today. */
const COUNTER = /(^|\.)num_batches_tracked$/;

/**
 * Copies `source` into the tensors of `target`, all or nothing: keys and shapes are checked first, and every mismatch
 * is listed, in the words of PyTorch's `load_state_dict`. What wrappers put before all keys is taken off if the rest
 * fits.
 */
export function loadInto(name: string, target: StateDict, given: StateDict, strict: boolean): void {
  if (typeof given !== "object" || given === null) throw badDtype("state", "a state dict", given);
  const { state: source } = fittingState(target, given);
  const problems = problemsOf(findMismatches(target, source), strict);
  if (problems.length > 0) {
    const advice = prefixAdvice(given, (part) => fits(target, part));
    if (advice !== "") problems.push(`the keys as they are do not fit${advice.replace(" are:", " do:")}`);
    throw new DistilleryError(
      "STATE_DICT_MISMATCH",
      `Error(s) in loading state_dict for ${name}:\n\t${problems.join("\n\t")}`,
    );
  }
  for (const [key, tensor] of Object.entries(target)) {
    const value = Object.hasOwn(source, key) ? source[key] : undefined;
    if (value === undefined) continue;
    if (tensor instanceof Tensor) tensor.noteChange();
    if (tensor instanceof LongTensor) tensor.data.set(BigInt64Array.from(value.data, asBigInt));
    else if (value instanceof LongTensor) tensor.data.set(Array.from(value.data, Number));
    else tensor.data.set(value.data);
  }
}

/** Refuses anything but tensors by their keys; `BAD_ARGUMENT`. */
export function expectStateDict(name: string, state: unknown): asserts state is StateDict {
  expectObject(name, state);
  for (const [key, value] of Object.entries(state as object)) {
    if (value instanceof Tensor || value instanceof IntTensor || value instanceof LongTensor) continue;
    throw badArgument(`${name}[${show(key)}]`, "a tensor", value);
  }
}

/** A state dict as the keys of `target` want it: as it is, or without the prefixes of wrappers if that makes it fit. */
export function fittingState(target: StateDict, source: StateDict): Unwrapped<StateDict[string]> {
  const isPart = ({ state }: Unwrapped<unknown>) => Object.keys(state).every((key) => Object.hasOwn(target, key));
  const [asItIs, ...shorter] = unwrapped(source);
  return isPart(asItIs) ? asItIs : (shorter.find(isPart) ?? asItIs);
}

/**
 * A line on what keeps a state dict from being loaded: the first keys or the first shapes that differ, and how many
 * more there are; null if it fits, with or without the prefixes of wrappers.
 */
export function misfitOf(target: StateDict, given: StateDict): string | null {
  const { missing, unexpected, different } = findMismatches(target, fittingState(target, given).state);
  const first = ([one, ...rest]: string[]) => (rest.length === 0 ? one : `${one}, and ${rest.length} more`);
  const parts = [
    ...(missing.length > 0 ? [`the file lacks ${first(missing.map(show))}`] : []),
    ...(unexpected.length > 0 ? [`the network has no ${first(unexpected.map(show))}`] : []),
    ...(different.length > 0
      ? [first(different.map(({ key, is, expected }) => `${key} is ${is}, not ${expected}`))]
      : []),
  ];
  if (parts.length === 0) return null;
  return `${parts.join("; ")}${prefixAdvice(given, (part) => fits(target, part)).replace(" are:", " do:")}`;
}

/** What differs between a state dict and the one of a network, in the network's order. */
interface Mismatches {
  missing: string[];
  unexpected: string[];
  /** For a key in both: the shape or type that is there, and the expected one. */
  different: { key: string; kind: "value" | "type" | "shape"; is: string; expected: string }[];
}

const fits = (target: StateDict, source: StateDict) => problemsOf(findMismatches(target, source), true).length === 0;

function findMismatches(target: StateDict, source: StateDict): Mismatches {
  const missing = Object.keys(target).filter((key) => !Object.hasOwn(source, key) && !COUNTER.test(key));
  const unexpected = Object.keys(source).filter((key) => !Object.hasOwn(target, key));
  const different = Object.entries(target).flatMap(([key, tensor]) => {
    const difference = Object.hasOwn(source, key) ? differenceOf(tensor, source[key]) : null;
    return difference === null ? [] : [{ key, ...difference }];
  });
  return { missing, unexpected, different };
}

function differenceOf(tensor: StateDict[string], value: unknown): Omit<Mismatches["different"][number], "key"> | null {
  if (!(value instanceof Tensor || value instanceof IntTensor || value instanceof LongTensor)) {
    return { kind: "value", is: show(value), expected: "a tensor" };
  }
  const isCounter = !(tensor instanceof Tensor) && value instanceof Tensor && value.data.every(isCount);
  if (tensor instanceof Tensor !== value instanceof Tensor && !isCounter)
    return { kind: "type", is: value.dtype, expected: tensor.dtype };
  // PyTorch 0.3 had no tensors without dimensions.
  if (tensor.shape.length === 0 && value.shape.length === 1 && value.size === 1) return null;
  const [is, expected] = [value, tensor].map(({ shape }) => `[${shape.join(", ")}]`);
  return is === expected ? null : { kind: "shape", is, expected };
}

/** Whether a number is cut to a whole one as PyTorch's `copy_` does: averages of weights are taken of counters too. */
function isCount(x: number): boolean {
  return Math.abs(x) < 2 ** 31;
}

function asBigInt(x: number | bigint): bigint {
  return typeof x === "bigint" ? x : BigInt(Math.trunc(x));
}

/** In the words of PyTorch. */
function problemsOf({ missing, unexpected, different }: Mismatches, strict: boolean): string[] {
  const quote = (keys: string[]) => `${keys.map((key) => `"${key}"`).join(", ")}.`;
  return [
    ...(strict && missing.length > 0 ? [`Missing key(s) in state_dict: ${quote(missing)}`] : []),
    ...(strict && unexpected.length > 0 ? [`Unexpected key(s) in state_dict: ${quote(unexpected)}`] : []),
    ...different.map(({ key, kind, is, expected }) =>
      kind === "shape"
        ? `size mismatch for ${key}: copying a param with shape ${is} from checkpoint, the shape in current model is ${expected}.`
        : `${key}: expected ${expected}, got ${is}.`,
    ),
  ];
}
