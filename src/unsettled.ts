/** What the user's own code is to answer still. */
const awaited = new Set<() => string>();

/** A promise of the user's own code; `text` names it while it has not settled. */
export function settling<T>(promise: Promise<T>, text: () => string): Promise<T> {
  awaited.add(text);
  return promise.finally(() => awaited.delete(text));
}

/** The first of those that have not settled; null if there is none. */
export function unsettled(): string | null {
  const [text] = awaited;
  return text?.() ?? null;
}
