let pending: (() => void) | null = null;

/**
 * Defers a computation until something reads a tensor's values. At most one is deferred: another one that is, or the
 * first access to any tensor's `data`, runs it.
 */
export function defer(run: () => void): void {
  runDeferred();
  pending = run;
}

/** Forgets what is deferred, as what it reads ends. */
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
