/**
 * Called with each tensor whose values something else than an operation reads, and with the generator of each draw that
 * is none.
 */
type Reader = (read: object) => void;

let current: Reader | null = null;

/** Runs `body` and calls `reader`, if there is one, with each tensor whose values are read outside of operations. */
export function withReader<T>(reader: Reader | null, body: () => T): T {
  const before = current;
  current = reader;
  try {
    return body();
  } finally {
    current = before;
  }
}

/** Runs what computes an operation: no reader is told of what that reads. */
export function unread<T>(body: () => T): T {
  return current === null ? body() : withReader(null, body);
}

/** Says that the values of a tensor are read, or that a generator draws. */
export function noteRead(read: object): void {
  current?.(read);
}
