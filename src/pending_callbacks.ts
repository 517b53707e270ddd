import { types } from "node:util";

/**
 * Promises that the caller's callbacks return and that nothing awaits. If one rejects, it does not count as unhandled:
 * the work that called it fails with the same reason.
 */
export class PendingCallbacks {
  readonly #promises = new Set<Promise<unknown>>();

  /** Wraps a function so that its promises are kept; undefined stays undefined. */
  of<A extends unknown[]>(callback: ((...args: A) => unknown) | undefined): ((...args: A) => void) | undefined {
    if (callback === undefined) return undefined;
    return (...args) => {
      const answer = callback(...args);
      if (!types.isPromise(answer)) return;
      this.#promises.add(answer);
      // A resolved promise is dropped; a rejected one is awaited at the end.
      answer.then(
        () => this.#promises.delete(answer),
        () => {},
      );
    };
  }

  /** Waits for all of them; rejects with the reason of the first that did. */
  async settled(): Promise<void> {
    await Promise.all(this.#promises);
  }
}
