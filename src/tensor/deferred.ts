let pending: (() => void) | null = null;

/**
 * Defers a computation until something reads a tensor's values. At most one is deferred: the next one, or the first
 * access to any tensor's `data`, runs it.
 */
export function defer(run: () => void): void {
  runDeferred();
  pending = run;
}

/** Discards the deferred computation because the values that it reads end. */
export function discardDeferred(): void {
  pending = null;
}

/** Runs what is deferred, if anything is. */
export function runDeferred(): void {
  if (pending === null) return;
  const run = pending;
  pending = null;
  run();
}
