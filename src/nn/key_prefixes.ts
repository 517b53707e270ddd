/** What wrappers of PyTorch put before all keys: DataParallel, compile, Lightning and usual names of attributes. */
const PREFIXES = ["module.", "_orig_mod.", "model.", "net.", "student.", "ema."] as const;
/** A number that AveragedModel keeps beside the network's own keys. */
const AVERAGED = "n_averaged";

/** A state dict without a prefix that all of its keys had. */
export interface Unwrapped<T> {
  readonly prefix: string;
  readonly state: Record<string, T>;
}

/**
 * A state dict, and the same without what wrappers put before all of its keys: `_orig_mod.module.` in two steps, each an
 * element.
 */
export function unwrapped<T>(state: Record<string, T>): Unwrapped<T>[] {
  const { [AVERAGED]: count, ...rest } = state;
  const steps = [{ prefix: "", state }];
  let next = withoutPrefix({ prefix: "", state: count === undefined ? state : rest });
  for (; next !== null; next = withoutPrefix(next)) steps.push(next);
  return steps;
}

function withoutPrefix<T>({ prefix, state }: Unwrapped<T>): Unwrapped<T> | null {
  const entries = Object.entries(state);
  const isShared = (each: string) => entries.every(([key]) => key.startsWith(each) && key.length > each.length);
  const shared = entries.length === 0 ? undefined : PREFIXES.find(isShared);
  if (shared === undefined) return null;
  const shorter = entries.map(([key, tensor]): [string, T] => [key.slice(shared.length), tensor]);
  return { prefix: prefix + shared, state: Object.fromEntries(shorter) };
}
