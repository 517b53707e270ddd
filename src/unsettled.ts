/** Promises of the user's code that have not settled yet. */
const awaited = new Set<() => string>();

/** Tracks a promise of the user's code; `text` describes it until it settles. */
export function settling<T>(promise: Promise<T>, text: () => string): Promise<T> {
  awaited.add(text);
  return promise.finally(() => awaited.delete(text));
}

/** The first promise that has not settled; null if all have. */
export function unsettled(): string | null {
  const [text] = awaited;
  return text?.() ?? null;
}
