import { show } from "../checks.js";

/** What wrappers of PyTorch put before all keys: DataParallel, compile, Lightning and usual names of attributes. */
const PREFIXES = [
  "module.",
  "_orig_mod.",
  "_forward_module.",
  "_fsdp_wrapped_module.",
  "model.",
  "net.",
  "network.",
  "backbone.",
  "encoder.",
  "student.",
  "teacher.",
  "ema.",
  "ema_model.",
  "online_model.",
] as const;
/** A number that AveragedModel keeps beside the network's own keys. */
const AVERAGED = "n_averaged";

/** The most wrappers around each other, and prefixes whose keys are tried: what a file of a stranger may cost. */
const MAX_WRAPPERS = 8;
const MAX_PREFIXES = 64;

/** A state dict without a prefix that all of its keys had. */
export interface Unwrapped<T> {
  readonly prefix: string;
  readonly state: Record<string, T>;
}

/**
 * A state dict, and the same without what wrappers put before all of its keys: `_orig_mod.module.` in two steps, each
 * an element.
 */
export function unwrapped<T>(state: Record<string, T>): Unwrapped<T>[] {
  const { [AVERAGED]: count, ...rest } = state;
  const steps = [{ prefix: "", state }];
  let next = withoutPrefix({ prefix: "", state: count === undefined ? state : rest });
  for (; next !== null && steps.length <= MAX_WRAPPERS; next = withoutPrefix(next)) steps.push(next);
  return steps;
}

/**
 * What reads the keys under one prefix, if those without it fit by themselves: `; those under "model." ...`. Empty if
 * none do.
 */
export function prefixAdvice<T>(state: Record<string, T>, fits: (part: Record<string, T>) => boolean): string {
  const found = commonPrefixes(Object.keys(state)).find((prefix) => {
    const under = Object.entries(state).filter(([key]) => key.startsWith(prefix));
    return fits(Object.fromEntries(under.map(([key, tensor]) => [key.slice(prefix.length), tensor])));
  });
  if (found === undefined) return "";
  const shown = show(found);
  return `; those under ${shown} are: --strip-prefix ${found} reads them, in a program { stripPrefix: ${shown} }`;
}

/** What ends in a point and begins the most keys, in their order. */
function commonPrefixes(keys: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const key of keys) {
    for (let end = key.indexOf("."), depth = 0; end >= 0 && depth < MAX_WRAPPERS; end = key.indexOf(".", end + 1)) {
      const prefix = key.slice(0, end + 1);
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
      depth += 1;
    }
  }
  const least = [...counts.values()].sort((a, b) => b - a)[MAX_PREFIXES] ?? 0;
  return [...counts].flatMap(([prefix, count]) => (count > least ? [prefix] : []));
}

function withoutPrefix<T>({ prefix, state }: Unwrapped<T>): Unwrapped<T> | null {
  const entries = Object.entries(state);
  const isShared = (each: string) => entries.every(([key]) => key.startsWith(each) && key.length > each.length);
  const shared = entries.length === 0 ? undefined : PREFIXES.find(isShared);
  if (shared === undefined) return null;
  const shorter = entries.map(([key, tensor]): [string, T] => [key.slice(shared.length), tensor]);
  return { prefix: prefix + shared, state: Object.fromEntries(shorter) };
}
