import { native } from "../native.js";

/** The sum of the arrays of some consecutive shards. */
export interface PartialSum {
  /** The number of the first shard. */
  readonly first: number;
  /** How many shards. */
  readonly shards: number;
  readonly values: Float32Array;
}

/**
 * The sum of one array per shard, added as a binary tree over the shards' numbers: ((0 + 1) + (2 + 3)) + ((4 + 5) + (6
 * + 7)). The order does not depend on which rank computed which shards, and a rank with neighbouring shards can add
 * them before it sends their sum.
 */
export class ShardSum {
  #stack: PartialSum[] = [];
  readonly #spare: Float32Array[] = [];

  constructor(readonly length: number) {}

  /** Adds the sum of the next shards; `fill` writes it. */
  add(first: number, shards: number, fill: (into: Float32Array) => void): void {
    const values = this.#spare.pop() ?? new Float32Array(this.length);
    fill(values);
    this.#stack.push({ first, shards, values });
    while (this.#canMerge()) this.#merge();
  }

  /** The sums that wait for shards of other ranks, in order. */
  get partial(): readonly PartialSum[] {
    return this.#stack;
  }

  /** The sum of all, valid until the next {@link ShardSum.add}. */
  take(): Float32Array {
    while (this.#stack.length > 1) this.#merge();
    const [{ values }] = this.#stack;
    this.clear();
    return values;
  }

  /** Starts again. */
  clear(): void {
    this.#spare.push(...this.#stack.splice(0).map(({ values }) => values));
  }

  #canMerge(): boolean {
    const [left, right] = this.#stack.slice(-2);
    return right !== undefined && left.shards === right.shards && left.first % (2 * left.shards) === 0;
  }

  #merge(): void {
    const right = this.#stack.pop() as PartialSum;
    const left = this.#stack.pop() as PartialSum;
    native.accumulate(right.values, left.values);
    this.#spare.push(right.values);
    this.#stack.push({ ...left, shards: left.shards + right.shards });
  }
}
