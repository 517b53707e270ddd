/** The memory of a tensor of any type of number. */
type Numbers = { readonly length: number; [index: number]: number | bigint };

/**
 * Fills `to` with the elements of a view of `from`, row by row: element [i, j, ...] lies at offset + i strides[0] + ...
 */
export function gatherStrided<A extends Numbers>(
  from: A,
  to: A,
  { shape, strides, offset = 0 }: { shape: readonly number[]; strides: readonly number[]; offset?: number },
): void {
  const place = new Array<number>(shape.length).fill(0);
  let at = offset;
  for (let i = 0; i < to.length; i++) {
    to[i] = from[at];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const [length, step] = [shape[axis], strides[axis]];
      place[axis]++;
      at += step;
      if (place[axis] < length) break;
      at -= length * step;
      place[axis] = 0;
    }
  }
}
