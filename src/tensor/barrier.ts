/**
 * A point at which the shards of a batch wait for each other: each contributes numbers, and all continue with their
 * combination.
 */
export class Barrier {
  /** The combination of all shards; null until it is known. */
  all: Float64Array | null = null;

  constructor(
    /** The contribution of this shard. */
    readonly own: Float64Array,
    /** Combines the contributions of two shards, of which the left one comes first. */
    readonly combine: (left: Float64Array, right: Float64Array) => Float64Array,
  ) {}
}
