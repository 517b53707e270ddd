/**
 * A place where those who compute parts of one batch wait for each other: each gives numbers, all go on with what is
 * made of them.
 */
export class Barrier {
  /** Of all parts; null while they are waited for. */
  all: Float64Array | null = null;

  constructor(
    /** What this part gives. */
    readonly own: Float64Array,
    /** Makes one of those of two parts, of which the left one comes first. */
    readonly combine: (left: Float64Array, right: Float64Array) => Float64Array,
  ) {}
}
