import { show } from "../checks.js";
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
 * is listed, in the words of PyTorch's `load_state_dict`. What wrappers put before all keys is taken off if the rest fits.
 */
export function loadInto(name: string, target: StateDict, given: StateDict, strict: boolean): void {
  if (typeof given !== "object" || given === null) {
    throw new DistilleryError("BAD_DTYPE", `state: expected a state dict, got ${show(given)}`);
  }
  const { state: source } = fittingState(target, given);
  const problems = findMismatches(target, source, strict);
  if (problems.length > 0) {
    const advice = prefixAdvice(given, (part) => findMismatches(target, part, true).length === 0);
    if (advice !== "") problems.push(`the keys as they are do not fit${advice.replace(" are:", " do:")}`);
    throw new DistilleryError(
      "STATE_DICT_MISMATCH",
      `Error(s) in loading state_dict for ${name}:\n\t${problems.join("\n\t")}`,
    );
  }
  for (const [key, tensor] of Object.entries(target)) {
    const value = Object.hasOwn(source, key) ? source[key] : undefined;
    if (value === undefined) continue;
    if (tensor instanceof LongTensor) tensor.data.set(BigInt64Array.from(value.data, BigInt));
    else if (value instanceof LongTensor) tensor.data.set(Array.from(value.data, Number));
    else tensor.data.set(value.data);
  }
}

/** A state dict as the keys of `target` want it: as it is, or without the prefixes of wrappers if that makes it fit. */
export function fittingState(target: StateDict, source: StateDict): Unwrapped<StateDict[string]> {
  const isPart = ({ state }: Unwrapped<unknown>) => Object.keys(state).every((key) => Object.hasOwn(target, key));
  const [asItIs, ...shorter] = unwrapped(source);
  return isPart(asItIs) ? asItIs : (shorter.find(isPart) ?? asItIs);
}

function findMismatches(target: StateDict, source: StateDict, strict: boolean): string[] {
  const quote = (keys: string[]) => `${keys.map((key) => `"${key}"`).join(", ")}.`;
  const missing = Object.keys(target).filter((key) => !Object.hasOwn(source, key) && !COUNTER.test(key));
  const unexpected = Object.keys(source).filter((key) => !Object.hasOwn(target, key));
  const problems: string[] = [];
  if (strict && missing.length > 0) problems.push(`Missing key(s) in state_dict: ${quote(missing)}`);
  if (strict && unexpected.length > 0) problems.push(`Unexpected key(s) in state_dict: ${quote(unexpected)}`);
  for (const [key, tensor] of Object.entries(target)) {
    if (!Object.hasOwn(source, key)) continue;
    const problem = mismatch(key, tensor, source[key]);
    if (problem !== null) problems.push(problem);
  }
  return problems;
}

function mismatch(key: string, tensor: StateDict[string], value: unknown): string | null {
  if (!(value instanceof Tensor || value instanceof IntTensor || value instanceof LongTensor)) {
    return `${key}: expected a tensor, got ${show(value)}.`;
  }
  if (tensor instanceof Tensor !== value instanceof Tensor)
    return `${key}: expected ${tensor.dtype}, got ${value.dtype}.`;
  if (tensor.shape.join() === value.shape.join()) return null;
  return (
    `size mismatch for ${key}: copying a param with shape [${value.shape.join(", ")}] from checkpoint, ` +
    `the shape in current model is [${tensor.shape.join(", ")}].`
  );
}
