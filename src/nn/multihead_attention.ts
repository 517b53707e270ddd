import { badArgument, expectFlags, expectInteger, expectNumber, expectOptions, expectShape } from "../checks.js";
import { attend, type Parts } from "../ops/attention.js";
import { slice, transpose } from "../ops/index.js";
import { expectTensor, Parameter, type Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";
import { linear } from "./functional.js";
import { xavierUniform } from "./init.js";
import { Linear } from "./linear.js";
import { Module } from "./module.js";

/** The options of {@link MultiheadAttention}, with PyTorch's names and defaults. */
export interface MultiheadAttentionOptions {
  /** The chance with which a weight becomes 0 in train mode; default 0. */
  dropout?: number;
  /** Whether the projections have biases; default true. */
  bias?: boolean;
  /** Whether tensors are [batch, length, embedDim]; default false: [length, batch, embedDim]. */
  batchFirst?: boolean;
  /** The values of a key; default embedDim. */
  kdim?: number;
  /** The values of a value; default embedDim. */
  vdim?: number;
}

/**
 * Attention of several heads (Vaswani et al., 2017): queries, keys and values are projected, each head mixes the values
 * by the softmax of its scores, and what they give is projected. `torch.nn.MultiheadAttention`, with its initial values
 * and its state keys: in_proj_weight, in_proj_bias, out_proj.weight, out_proj.bias; with another `kdim` or `vdim`
 * q_proj_weight, k_proj_weight, v_proj_weight. It gives the output alone, not the weights. A sequence of padding alone
 * attends to all of it alike, where PyTorch gives NaN.
 *
 * @throws DistilleryError `BAD_ARGUMENT` if embedDim is no multiple of numHeads, `SHAPE_MISMATCH`.
 * @example
 * ```ts
 * const attention = new MultiheadAttention(64, 4, { batchFirst: true });
 * attention.forward(randn([8, 12, 64])).shape; // [8, 12, 64]
 * ```
 */
export class MultiheadAttention extends Module {
  readonly dropout: number;
  readonly batchFirst: boolean;
  readonly kdim: number;
  readonly vdim: number;
  readonly q_proj_weight: Parameter | null;
  readonly k_proj_weight: Parameter | null;
  readonly v_proj_weight: Parameter | null;
  readonly in_proj_weight: Parameter | null;
  readonly in_proj_bias: Parameter | null;
  readonly out_proj: Linear;

  constructor(
    readonly embedDim: number,
    readonly numHeads: number,
    options: MultiheadAttentionOptions = {},
  ) {
    super();
    expectInteger("embedDim", embedDim, 1, 2 ** 16);
    expectInteger("numHeads", numHeads, 1, 2 ** 16);
    if (embedDim % numHeads !== 0) throw badArgument("embedDim", `a multiple of the ${numHeads} heads`, embedDim);
    expectOptions("MultiheadAttention", options, ["dropout", "bias", "batchFirst", "kdim", "vdim"]);
    const { dropout = 0, bias = true, batchFirst = false, kdim = embedDim, vdim = embedDim } = options;
    expectFlags({ bias, batchFirst });
    this.kdim = expectInteger("kdim", kdim, 1, 2 ** 16);
    this.vdim = expectInteger("vdim", vdim, 1, 2 ** 16);
    this.dropout = expectNumber("dropout", dropout, (p) => p >= 0 && p <= 1, "a chance from 0 to 1");
    this.batchFirst = batchFirst;
    // PyTorch draws the output's projection first.
    const outProj = new Linear(embedDim, embedDim, { bias });
    outProj.bias?.data.fill(0);
    const isSame = kdim === embedDim && vdim === embedDim;
    this.q_proj_weight = isSame ? null : xavier(embedDim, embedDim);
    this.k_proj_weight = isSame ? null : xavier(embedDim, kdim);
    this.v_proj_weight = isSame ? null : xavier(embedDim, vdim);
    this.in_proj_weight = isSame ? xavier(3 * embedDim, embedDim) : null;
    this.in_proj_bias = bias ? new Parameter(new Float32Array(3 * embedDim)) : null;
    this.out_proj = outProj;
  }

  /**
   * Attends from queries to keys, by default the queries themselves, with values, by default the keys.
   *
   * @param keyPaddingMask [batch, keys]: 1 where a key is padding, which no query attends to, 0 elsewhere.
   * @param attnMask [queries, keys], or [batch * heads, queries, keys]: 1 where a query does not attend to a key, 0
   * elsewhere.
   */
  override forward(query: Tensor, key = query, value = key, keyPaddingMask?: Tensor, attnMask?: Tensor): Tensor {
    const { embedDim, numHeads, kdim, vdim, batchFirst, training, dropout } = this;
    const inputs = { query: [query, embedDim], key: [key, kdim], value: [value, vdim] } as const;
    for (const [name, [x, width]] of Object.entries(inputs)) {
      expectTensor(`MultiheadAttention: ${name}`, x);
      expectShape(`MultiheadAttention: ${name}`, x.shape, [-1, -1, width]);
    }
    const [batch, length] = batchFirst ? [0, 1] : [1, 0];
    const [rows, keys] = [query.shape[batch], key.shape[length]];
    const others = (width: number) => (batchFirst ? [rows, keys, width] : [keys, rows, width]);
    expectShape("MultiheadAttention: key", key.shape, others(kdim));
    expectShape("MultiheadAttention: value", value.shape, others(vdim));
    if (keyPaddingMask !== undefined) {
      expectTensor("MultiheadAttention: keyPaddingMask", keyPaddingMask);
      expectShape("MultiheadAttention: keyPaddingMask", keyPaddingMask.shape, [query.shape[batch], key.shape[length]]);
      expectMask("MultiheadAttention: keyPaddingMask", keyPaddingMask, "a key is padding");
    }
    if (attnMask !== undefined) {
      expectTensor("MultiheadAttention: attnMask", attnMask);
      const each = [query.shape[length], key.shape[length]];
      expectShape(
        "MultiheadAttention: attnMask",
        attnMask.shape,
        attnMask.shape.length < 3 ? each : [query.shape[batch] * numHeads, ...each],
      );
      expectMask("MultiheadAttention: attnMask", attnMask, "a query does not attend to a key");
    }
    const batched = (x: Tensor) => (batchFirst ? x : transpose(x, 0, 1));
    const masks = { padding: keyPaddingMask ?? null, mask: attnMask ?? null };
    const parts = this.#projected(query, key, value, batched);
    const mixed = attend(parts, { heads: numHeads, ...masks, dropout: training ? dropout : 0 });
    return this.out_proj.forward(batched(mixed));
  }

  /**
   * Query, key and value by their weights, or by the three parts of `in_proj_weight`: in one product, side by side, if
   * they are the same.
   */
  #projected(query: Tensor, key: Tensor, value: Tensor, batched: (x: Tensor) => Tensor): Parts {
    const { in_proj_weight: weight, in_proj_bias: bias, embedDim } = this;
    if (weight !== null && query === key && query === value) return [batched(linear(query, weight, bias))];
    const part = (x: Tensor, i: number) => slice(x, i * embedDim, (i + 1) * embedDim, { dim: 0 });
    const own = [this.q_proj_weight, this.k_proj_weight, this.v_proj_weight];
    const projected = (x: Tensor, i: number) =>
      batched(linear(x, own[i] ?? part(weight as Parameter, i), bias && part(bias, i)));
    return [projected(query, 0), projected(key, 1), projected(value, 2)];
  }
}

/** Refuses a mask that holds other numbers than 0 and 1, such as one that is to be added. */
function expectMask(name: string, mask: Tensor, where: string): void {
  // A trace has random numbers.
  const wrong = isTracing() ? undefined : mask.data.find((x) => x !== 0 && x !== 1);
  if (wrong === undefined) return;
  throw badArgument(name, `1 where ${where} and 0 elsewhere`, wrong);
}

function xavier(outputs: number, inputs: number): Parameter {
  return xavierUniform(new Parameter(new Float32Array(outputs * inputs), [outputs, inputs]));
}
