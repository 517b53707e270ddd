import { badArgument, expectFlags, expectInteger, expectNumber, expectOptions, expectShape } from "../checks.js";
import { slice, transpose } from "../ops/index.js";
import { rand } from "../tensor/random.js";
import { expectTensor, Parameter, type Tensor } from "../tensor/tensor.js";
import { attend, expectMask } from "./attention.js";
import { linear } from "./functional.js";
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
}

/**
 * Attention of several heads (Vaswani et al., 2017): queries, keys and values are projected, each head mixes the values by the softmax of
 * its scores, and what they give is projected. `torch.nn.MultiheadAttention`, with its initial values and its state keys: in_proj_weight,
 * in_proj_bias, out_proj.weight, out_proj.bias. It gives the output alone, not the weights. A sequence of padding alone attends to all of
 * it alike, where PyTorch gives NaN.
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
  readonly in_proj_weight: Parameter;
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
    expectOptions("MultiheadAttention", options, ["dropout", "bias", "batchFirst"]);
    const { dropout = 0, bias = true, batchFirst = false } = options;
    expectFlags({ bias, batchFirst });
    this.dropout = expectNumber("dropout", dropout, (p) => p >= 0 && p <= 1, "a chance from 0 to 1");
    this.batchFirst = batchFirst;
    // PyTorch draws the output's projection first.
    const outProj = new Linear(embedDim, embedDim, { bias });
    outProj.bias?.data.fill(0);
    const bound = Math.sqrt(6 / (4 * embedDim));
    const shape = [3 * embedDim, embedDim];
    this.in_proj_weight = new Parameter(rand(shape, -bound, bound).data, shape);
    this.in_proj_bias = bias ? new Parameter(new Float32Array(3 * embedDim)) : null;
    this.out_proj = outProj;
  }

  /**
   * Attends from queries to keys, by default the queries themselves, with values, by default the keys.
   *
   * @param keyPaddingMask [batch, keys]: 1 where a key is padding, which no query attends to, 0 elsewhere.
   * @param attnMask [queries, keys], or [batch * heads, queries, keys]: 1 where a query does not attend to a key, 0 elsewhere.
   */
  override forward(query: Tensor, key = query, value = key, keyPaddingMask?: Tensor, attnMask?: Tensor): Tensor {
    const { embedDim, numHeads, batchFirst, training, dropout } = this;
    for (const [name, x] of Object.entries({ query, key, value })) {
      expectTensor(`MultiheadAttention: ${name}`, x);
      expectShape(`MultiheadAttention: ${name}`, x.shape, [-1, -1, embedDim]);
    }
    const [batch, length] = batchFirst ? [0, 1] : [1, 0];
    const others = (of: number) => (batchFirst ? [query.shape[0], of, embedDim] : [of, query.shape[1], embedDim]);
    expectShape("MultiheadAttention: key", key.shape, others(key.shape[length]));
    expectShape("MultiheadAttention: value", value.shape, others(key.shape[length]));
    if (keyPaddingMask !== undefined) {
      expectTensor("keyPaddingMask", keyPaddingMask);
      expectShape("keyPaddingMask", keyPaddingMask.shape, [query.shape[batch], key.shape[length]]);
      expectMask("keyPaddingMask", keyPaddingMask, "a key is padding");
    }
    if (attnMask !== undefined) {
      expectTensor("attnMask", attnMask);
      const each = [query.shape[length], key.shape[length]];
      expectShape(
        "attnMask",
        attnMask.shape,
        attnMask.shape.length < 3 ? each : [query.shape[batch] * numHeads, ...each],
      );
      expectMask("attnMask", attnMask, "a query does not attend to a key");
    }
    const batched = (x: Tensor) => (batchFirst ? x : transpose(x, 0, 1));
    const [q, k, v] = this.#projected(query, key, value).map(batched);
    const masks = { padding: keyPaddingMask ?? null, mask: attnMask ?? null };
    const mixed = attend(q, k, v, { heads: numHeads, ...masks, dropout: training ? dropout : 0 });
    return this.out_proj.forward(batched(mixed));
  }

  /** Query, key and value by the three parts of `in_proj_weight`: in one product if they are the same. */
  #projected(...inputs: [query: Tensor, key: Tensor, value: Tensor]): Tensor[] {
    const { in_proj_weight: weight, in_proj_bias: bias, embedDim } = this;
    const part = (x: Tensor, i: number, axis: number) => slice(x, i * embedDim, (i + 1) * embedDim, { dim: axis });
    if (inputs.every((x) => x === inputs[0])) {
      const all = linear(inputs[0], weight, bias);
      return inputs.map((_, i) => part(all, i, 2));
    }
    return inputs.map((x, i) => linear(x, part(weight, i, 0), bias && part(bias, i, 0)));
  }
}
