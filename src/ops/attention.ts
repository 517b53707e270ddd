import { argumentError, badArgument, expectFlags, expectNumber, expectOptions, expectShape } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { allocate, allocateBytes } from "../tensor/buffer_pool.js";
import { currentPrecision } from "../tensor/precision.js";
import { currentGenerator } from "../tensor/random.js";
import { numel } from "../tensor/shape.js";
import { expectTensor, Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";
import { defineOp } from "./define_op.js";
import { dropout } from "./dropout.js";
import { expand } from "./expand.js";
import { matmulInPrecision } from "./matmul.js";
import { permute, transpose } from "./permute.js";
import { reshape } from "./reshape.js";
import { slice } from "./slice.js";
import { softmax } from "./softmax.js";

/** The options of {@link scaledDotProductAttention}, with PyTorch's names and defaults. */
export interface ScaledDotProductAttentionOptions {
  /** Added to the scores, broadcast to [..., queries, keys]: -Infinity where a query does not attend to a key. */
  attnMask?: Tensor;
  /** The chance with which a weight becomes 0, in training or not; default 0. */
  dropoutP?: number;
  /** Whether a query attends only to the keys up to its own index; default false. */
  isCausal?: boolean;
  /** What the scores are multiplied by; default 1 / sqrt(width). */
  scale?: number;
}

/** Queries, keys and values; or one tensor with all three side by side. */
export type Parts = readonly [qkv: Tensor] | readonly [q: Tensor, k: Tensor, v: Tensor];

/** What {@link attend} does besides the products. */
interface Heads {
  readonly heads: number;
  /** [batch, keys]: 1 where a key is padding, else 0. */
  readonly padding: Tensor | null;
  /** [queries, keys] or [batch * heads, queries, keys]: 1 where a query does not attend to a key, else 0. */
  readonly mask?: Tensor | null;
  /** The chance with which a weight becomes 0. */
  readonly dropout: number;
}

/** How the inputs are laid out, besides what {@link Weighted} says. */
interface Attributes extends Weighted {
  readonly heads: number;
  /** How many inputs hold queries, keys and values. */
  readonly parts: 1 | 3;
  /** Whether the next input is added to the scores of a key, [batch, keys]. */
  readonly hasKeyBias: boolean;
  /** Whether the last input is added to the scores, [queries, keys] or [batch * heads, queries, keys]. */
  readonly hasBias: boolean;
  readonly bfloat16: boolean;
}

interface Weighted {
  /** What the queries are multiplied by. */
  readonly scale: number;
  /** The chance with which a weight becomes 0. */
  readonly p: number;
}

/**
 * Added to the score of a key that is not attended to: low enough that its weight is exactly 0, but finite, so that a
 * query that attends to no key has finite values.
 */
const NEVER = -1e9;

/** Keeps the mask of its dropout alone: the backward pass computes the weights again. */
const attentionOp = defineOp<Attributes, Uint8Array | null>({
  name: "attention",
  forward(inputs, attributes) {
    const { batch, heads, queries, keys, valueWidth } = sizesOf(inputs, attributes);
    const mask = attributes.p > 0 ? allocateBytes(batch * heads * queries * keys) : null;
    if (mask !== null) native.dropoutMask(attributes.p, currentGenerator().state, mask);
    const shape = [batch, queries, heads * valueWidth];
    const data = allocate(numel(shape));
    native.attentionForward({ attention: callOf(inputs, attributes, mask), out: data });
    return { data, shape, saved: mask };
  },
  backward(grad, into, { inputs, attributes, saved: mask }) {
    const [gradQ, gradK, gradV] = attributes.parts === 1 ? [into[0], null, null] : into;
    native.attentionBackward({ attention: callOf(inputs, attributes, mask), grad, gradQ, gradK, gradV });
  },
});

/**
 * softmax(query keyᵀ scale + attnMask) value, by default with scale 1 / sqrt(width) (Vaswani et al., 2017): query
 * [..., queries, width], key [..., keys, width], value [..., keys, width of a value] to [..., queries, width of a
 * value]. The weights are never in memory as a whole. A query that attends to no key attends to all alike, where
 * PyTorch gives NaN. `torch.nn.functional.scaled_dot_product_attention`; the mask holds numbers to add, and has no
 * gradient.
 *
 * @throws DistilleryError `SHAPE_MISMATCH`, `BAD_ARGUMENT` for a mask beside `isCausal` or with a gradient.
 * @example
 * ```ts
 * const [q, k, v] = [randn([8, 4, 12, 16]), randn([8, 4, 12, 16]), randn([8, 4, 12, 16])];
 * F.scaledDotProductAttention(q, k, v, { isCausal: true }).shape; // [8, 4, 12, 16]
 * ```
 */
export function scaledDotProductAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: ScaledDotProductAttentionOptions = {},
): Tensor {
  const where = "scaledDotProductAttention";
  for (const [name, x] of Object.entries({ query, key, value })) {
    expectTensor(`${where}: ${name}`, x);
    if (x.shape.length < 2) throw argumentError(`${where}: ${name}`, `expected at least 2 axes, got ${x.shape.length}`);
  }
  const axes = query.shape.length;
  const [batch, [queries, width]] = [query.shape.slice(0, -2), query.shape.slice(-2)];
  const keys = key.shape[key.shape.length - 2];
  expectShape(`${where}: key`, key.shape, [...batch, -1, width]);
  expectShape(`${where}: value`, value.shape, [...batch, keys, -1]);
  expectOptions(where, options, ["attnMask", "dropoutP", "isCausal", "scale"]);
  const { attnMask, dropoutP: p = 0, isCausal = false, scale = scaleOf(width) } = options;
  expectFlags({ isCausal });
  expectNumber("dropoutP", p, (p) => p >= 0 && p <= 1, "a chance from 0 to 1");
  expectNumber("scale", scale, Number.isFinite, "a finite number");
  const scores = [...batch, queries, keys];
  if (attnMask !== undefined) expectAttnMask(attnMask, scores, isCausal);
  const bias = isCausal ? causal(queries, keys) : (attnMask?.clamp(NEVER) ?? null);
  if (isTracing()) return weighted(query, key, value, [bias], { scale, p });
  const rows = numel(batch);
  const flat = (x: Tensor) => reshape(x, [rows, ...x.shape.slice(-2)]);
  const own = (x: Tensor) => reshape(expand(x, scores), [rows, queries, keys]);
  const biases = bias === null ? [] : [bias.shape.length === 2 ? expand(bias, [queries, keys]) : own(bias)];
  const layout = { heads: 1, parts: 3, hasKeyBias: false, hasBias: bias !== null } as const;
  const inputs = [flat(query), flat(key), flat(value), ...biases];
  const out = attentionOp(inputs, { ...layout, scale, p, bfloat16: currentPrecision() === "bfloat16" });
  return reshape(out, [...query.shape.slice(0, axes - 1), value.shape[axes - 1]]);
}

/**
 * {@link scaledDotProductAttention} in each head: q [batch, queries, width], k and v [batch, keys, width] to [batch,
 * queries, width]. All three side by side are [batch, length, 3 width].
 */
export function attend(parts: Parts, { heads, padding, mask = null, dropout: p }: Heads): Tensor {
  const never = (x: Tensor | null) => (x === null ? null : x.detach().mul(NEVER));
  const [keyBias, bias] = [never(padding), never(mask)];
  const width = parts[0].shape[2] / (parts.length === 1 ? 3 : 1);
  const attributes = { scale: scaleOf(width / heads), p };
  if (!isTracing()) {
    const layout = { heads, parts: parts.length, hasKeyBias: keyBias !== null, hasBias: bias !== null };
    const inputs = [...parts, ...[keyBias, bias].filter((x) => x !== null)];
    return attentionOp(inputs, { ...layout, ...attributes, bfloat16: currentPrecision() === "bfloat16" });
  }
  const [q, k, v] = parts.length === 3 ? parts : [0, 1, 2].map((i) => third(parts[0], i));
  const split = (x: Tensor) => permute(reshape(x, [-1, x.shape[1], heads, width / heads]), [0, 2, 1, 3]);
  const [queries, keys] = [q.shape[1], k.shape[1]];
  const biases = [
    keyBias && reshape(keyBias, [-1, 1, 1, keys]),
    bias && reshape(bias, [-1, bias.shape.length === 3 ? heads : 1, queries, keys]),
  ];
  const mixed = weighted(split(q), split(k), split(v), biases, attributes);
  return reshape(permute(mixed, [0, 2, 1, 3]), [-1, queries, width]);
}

/** By the operations that other runtimes know, for a trace; with the same values. */
function weighted(q: Tensor, k: Tensor, v: Tensor, biases: readonly (Tensor | null)[], { scale, p }: Weighted): Tensor {
  const axes = k.shape.length;
  const scores = matmulInPrecision(q.mul(scale), transpose(k, axes - 2, axes - 1));
  const masked = biases.reduce<Tensor>((scores, bias) => (bias === null ? scores : scores.add(bias)), scores);
  return matmulInPrecision(dropout(softmax(masked), p, p > 0), v);
}

function third(x: Tensor, i: number): Tensor {
  const width = x.shape[2] / 3;
  return slice(x, i * width, (i + 1) * width, { dim: 2 });
}

const scaleOf = (width: number): number => 1 / Math.sqrt(width);

/** What is added so that a query attends to the keys up to its own index. */
function causal(queries: number, keys: number): Tensor {
  const at = (i: number) => (i % keys > Math.floor(i / keys) ? NEVER : 0);
  return new Tensor(
    Float32Array.from({ length: queries * keys }, (_, i) => at(i)),
    [queries, keys],
  );
}

function expectAttnMask(mask: Tensor, scores: readonly number[], isCausal: boolean): void {
  const name = "scaledDotProductAttention: attnMask";
  expectTensor(name, mask);
  if (isCausal) throw argumentError(name, "expected none beside isCausal");
  if (mask.requiresGrad) throw badArgument(name, "a tensor that requires no gradient", mask);
  const before = scores.length - mask.shape.length;
  if (before >= 0 && mask.shape.every((length, axis) => length === 1 || length === scores[before + axis])) return;
  const text = `expected a shape that broadcasts to [${scores.join(", ")}], got [${mask.shape.join(", ")}]`;
  throw new DistilleryError("SHAPE_MISMATCH", `${name}: ${text}`);
}

function sizesOf(inputs: readonly Tensor[], { heads, parts }: Attributes) {
  const [batch, queries, columns] = inputs[0].shape;
  if (parts === 1) {
    const width = columns / (3 * heads);
    return { batch, heads, queries, keys: queries, width, valueWidth: width };
  }
  const [, keys, values] = inputs[2].shape;
  return { batch, heads, queries, keys, width: columns / heads, valueWidth: values / heads };
}

/** What the kernels read. */
function callOf(inputs: readonly Tensor[], attributes: Attributes, mask: Uint8Array | null) {
  const { parts, hasKeyBias, hasBias, scale, p, bfloat16 } = attributes;
  const [q, k, v] = parts === 1 ? [inputs[0], inputs[0], inputs[0]] : inputs;
  const keyBias = hasKeyBias ? inputs[parts].data : null;
  const bias = hasBias ? inputs[inputs.length - 1].data : null;
  const arrays = { q: q.data, k: k.data, v: v.data, packed: parts === 1, keyBias, bias, mask, p };
  return { ...arrays, ...sizesOf(inputs, attributes), scale, bfloat16 };
}
