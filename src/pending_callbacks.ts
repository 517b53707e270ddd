import { types } from "node:util";

/**
 * What the caller's functions answer that nothing waits for. A promise that rejects is no unhandled one: the work that
 * called the function ends with its reason.
 */
export class PendingCallbacks {
  readonly #promises = new Set<Promise<unknown>>();

  /** The same function, or none if none was given; its promises are kept. */
  of<A extends unknown[]>(callback: ((...args: A) => unknown) | undefined): ((...args: A) => void) | undefined {
    if (callback === undefined) return undefined;
    return (...args) => {
      const answer = callback(...args);
      if (!types.isPromise(answer)) return;
      this.#promises.add(answer);
      // A resolved one is of no interest any more; that of a rejected one is awaited at the end.
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
