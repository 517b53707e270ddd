import { badArgument } from "../checks.js";
import { dropout, permute, reshape, softmax } from "../ops/index.js";
import { matmulInPrecision } from "../ops/matmul.js";
import type { Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";

/**
 * Added to the score of a padding key: low enough that its weight is exactly 0, but finite, so that a sequence of only
 * padding has finite values.
 */
const NEVER = -1e9;

/** What {@link attend} does besides the products. */
interface Attention {
  readonly heads: number;
  /** [batch, keys]: 1 where a key is padding, else 0. */
  readonly padding: Tensor | null;
  /** [queries, keys] or [batch * heads, queries, keys]: 1 where a query does not attend to a key, else 0. */
  readonly mask?: Tensor | null;
  /** The chance with which a weight becomes 0. */
  readonly dropout: number;
}

/**
 * softmax(q kᵀ / sqrt(width of a head)) v in each head (Vaswani et al., 2017): q [batch, queries, width], k and v
 * [batch, keys, width] to [batch, queries, width].
 */
export function attend(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { heads, padding, mask = null, dropout: p }: Attention,
): Tensor {
  const width = q.shape[2];
  const split = (x: Tensor) => reshape(x, [-1, x.shape[1], heads, width / heads]);
  const scale = 1 / Math.sqrt(width / heads);
  const scores = matmulInPrecision(permute(split(q), [0, 2, 1, 3]).mul(scale), permute(split(k), [0, 2, 3, 1]));
  const kept = padding === null ? scores : scores.add(reshape(padding.mul(NEVER), [-1, 1, 1, k.shape[1]]));
  const perHead = mask?.shape.length === 3 ? heads : 1;
  const masked = mask === null ? kept : kept.add(reshape(mask.mul(NEVER), [-1, perHead, q.shape[1], k.shape[1]]));
  const weights = dropout(softmax(masked), p, p > 0);
  const mixed = matmulInPrecision(weights, permute(split(v), [0, 2, 1, 3]));
  return reshape(permute(mixed, [0, 2, 1, 3]), [-1, q.shape[1], width]);
}

/** Refuses a mask that holds other numbers than 0 and 1, such as one that is to be added. */
export function expectMask(name: string, mask: Tensor, where: string): void {
  // A trace has random numbers.
  const wrong = isTracing() ? undefined : mask.data.find((x) => x !== 0 && x !== 1);
  if (wrong === undefined) return;
  throw badArgument(name, `1 where ${where} and 0 elsewhere`, wrong);
}
