/**
 * Called with each tensor whose values are read by anything but an operation, and with the generator of each draw
 * outside of operations.
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

/** Runs the computation of an operation: its reads are not reported. */
export function unread<T>(body: () => T): T {
  return current === null ? body() : withReader(null, body);
}

/** Says that the values of a tensor are read, or that a generator draws. */
export function noteRead(read: object): void {
  current?.(read);
}
