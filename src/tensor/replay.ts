import { DistilleryError } from "../errors.js";
import type { Barrier } from "./barrier.js";
import { currentGenerator } from "./random.js";

/** The result of a call, and the state of the random stream afterwards if it has advanced. */
interface Entry {
  readonly value: unknown;
  readonly random: Uint32Array | null;
}

/**
 * Runs a function that waits for others although it is not async: it is left at a barrier, and later restarted from its
 * beginning. Then each operation returns its previous result without computing it, and the random stream advances as
 * before.
 */
export class Replay {
  readonly #entries: Entry[] = [];
  #next = 0;
  #waiting: Barrier | null = null;
  #isComputing = false;

  /** Returns the result of `body`, or the barrier at which it waits. */
  run<T>(body: () => T): { readonly value: T } | Barrier {
    const before = current;
    current = this;
    this.#next = 0;
    this.#waiting = null;
    try {
      const value = body();
      // The function itself may have caught the exception that leaves it.
      return this.#waiting ?? { value };
    } catch (error) {
      if (this.#waiting !== null) return this.#waiting;
      throw error;
    } finally {
      current = before;
    }
  }

  once<T>(compute: () => T): T {
    if (this.#isComputing) return compute();
    if (this.#waiting !== null) throw leaving();
    if (this.#next < this.#entries.length) return this.#repeat() as T;
    const { state } = currentGenerator();
    const before = state.slice();
    this.#isComputing = true;
    try {
      const value = compute();
      const hasMoved = state.some((word, i) => word !== before[i]);
      this.#entries.push({ value, random: hasMoved ? state.slice() : null });
      this.#next += 1;
      return value;
    } finally {
      this.#isComputing = false;
    }
  }

  barrier(make: () => Barrier): Float64Array {
    const barrier = this.once(make);
    if (barrier.all !== null) return barrier.all;
    this.#waiting = barrier;
    throw leaving();
  }

  #repeat(): unknown {
    const { value, random } = this.#entries[this.#next];
    this.#next += 1;
    if (random !== null) currentGenerator().state.set(random);
    return value;
  }
}

/** Leaves the function at a barrier. */
function leaving(): DistilleryError {
  return new DistilleryError("INTERNAL", "waits for other parts of the batch");
}

let current: Replay | null = null;

/** Whether a {@link Replay} runs. */
export function isReplaying(): boolean {
  return current !== null;
}

/** Computes something, in a {@link Replay} only once. */
export function once<T>(compute: () => T): T {
  return current === null ? compute() : current.once(compute);
}

/** The combination of all shards at a barrier. Only in a {@link Replay}. */
export function meet(make: () => Barrier): Float64Array {
  if (current === null) throw new DistilleryError("INTERNAL", "meet: no replay runs");
  return current.barrier(make);
}
