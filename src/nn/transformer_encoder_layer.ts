import { expectAtLeast0, expectFlags, expectLength, expectOneOf, expectOptions } from "../checks.js";
import { transpose } from "../ops/index.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { gelu, relu } from "./functional.js";
import { LayerNorm } from "./layer_norm.js";
import { Dropout } from "./layers.js";
import { Linear } from "./linear.js";
import { Module } from "./module.js";
import { MultiheadAttention } from "./multihead_attention.js";

const ACTIVATIONS = { relu, gelu: (x: Tensor) => gelu(x) };

/** The options of {@link TransformerEncoderLayer}, with PyTorch's names and defaults. */
export interface TransformerEncoderLayerOptions {
  /** Width of the hidden layer; default 2048. */
  dimFeedforward?: number;
  /** The chance with which values and attention's weights become 0 in train mode; default 0.1. */
  dropout?: number;
  /** What follows the hidden layer; default `relu`. */
  activation?: keyof typeof ACTIVATIONS;
  /** Added to the variances; default 1e-5. */
  layerNormEps?: number;
  /** Whether tensors are [batch, length, dModel]; default false: [length, batch, dModel]. */
  batchFirst?: boolean;
  /** Whether each part is normalised before it, not after; default false. */
  normFirst?: boolean;
  /** Whether linear layers and normalisations have biases; default true. */
  bias?: boolean;
}

/**
 * A layer of a transformer (Vaswani et al., 2017): attention, then a hidden layer, each added to its input and
 * normalised. `torch.nn.TransformerEncoderLayer`, with its initial values and its state keys: self_attn, linear1,
 * linear2, norm1, norm2.
 *
 * @throws DistilleryError `BAD_ARGUMENT` if dModel is no multiple of nhead, `SHAPE_MISMATCH`.
 * @example
 * ```ts
 * const layer = new TransformerEncoderLayer(64, 4, { dimFeedforward: 128, batchFirst: true });
 * layer.forward(randn([8, 12, 64])).shape; // [8, 12, 64]
 * ```
 */
export class TransformerEncoderLayer extends Module {
  readonly activation: keyof typeof ACTIVATIONS;
  readonly normFirst: boolean;
  readonly self_attn: MultiheadAttention;
  readonly linear1: Linear;
  readonly dropout: Dropout;
  readonly linear2: Linear;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly dropout1: Dropout;
  readonly dropout2: Dropout;

  readonly #create: () => TransformerEncoderLayer;

  constructor(dModel: number, nhead: number, options: TransformerEncoderLayerOptions = {}) {
    super();
    expectOptions("TransformerEncoderLayer", options, [
      "dimFeedforward",
      "dropout",
      "activation",
      "layerNormEps",
      "batchFirst",
      "normFirst",
      "bias",
    ]);
    const { dimFeedforward = 2048, dropout = 0.1, activation = "relu", normFirst = false } = options;
    const { layerNormEps: eps = 1e-5, batchFirst = false, bias = true } = options;
    expectLength("dimFeedforward", dimFeedforward);
    expectAtLeast0("layerNormEps", eps);
    expectFlags({ normFirst });
    this.activation = expectOneOf("activation", activation, Object.keys(ACTIVATIONS) as (keyof typeof ACTIVATIONS)[]);
    this.normFirst = normFirst;
    this.self_attn = new MultiheadAttention(dModel, nhead, { dropout, bias, batchFirst });
    this.linear1 = new Linear(dModel, dimFeedforward, { bias });
    this.dropout = new Dropout(dropout);
    this.linear2 = new Linear(dimFeedforward, dModel, { bias });
    this.norm1 = new LayerNorm(dModel, { eps, bias });
    this.norm2 = new LayerNorm(dModel, { eps, bias });
    this.dropout1 = new Dropout(dropout);
    this.dropout2 = new Dropout(dropout);
    const given = { ...options };
    this.#create = () => new TransformerEncoderLayer(dModel, nhead, given);
  }

  /** A layer with the same options and values, for which nothing is drawn from the current stream. @internal */
  copy(): TransformerEncoderLayer {
    return withGenerator(new Generator(), this.#create).loadStateDict(this.stateDict()).train(this.training);
  }

  /**
   * @param srcMask [length, length], or [batch * heads, length, length]: 1 where a token does not attend to another, 0
   * elsewhere.
   * @param srcKeyPaddingMask [batch, length]: 1 where a token is padding, which no other attends to, 0 elsewhere.
   */
  override forward(src: Tensor, srcMask?: Tensor, srcKeyPaddingMask?: Tensor): Tensor {
    expectTensor("TransformerEncoderLayer: src", src);
    const { norm1, norm2 } = this;
    const attention = (x: Tensor) => this.#dropped(this.self_attn.forward(x, x, x, srcKeyPaddingMask, srcMask));
    if (this.normFirst) {
      const x = src.add(attention(norm1.forward(src)));
      return x.add(this.#hidden(norm2.forward(x)));
    }
    const x = norm1.forward(src.add(attention(src)));
    return norm2.forward(x.add(this.#hidden(x)));
  }

  /** PyTorch draws what it drops of attention's output in the order [length, batch, dModel], whatever comes first. */
  #dropped(x: Tensor): Tensor {
    const { dropout1, self_attn } = this;
    if (!self_attn.batchFirst || !dropout1.training || dropout1.p === 0) return dropout1.forward(x);
    return transpose(dropout1.forward(transpose(x, 0, 1)), 0, 1);
  }

  #hidden(x: Tensor): Tensor {
    const hidden = this.dropout.forward(ACTIVATIONS[this.activation](this.linear1.forward(x)));
    return this.dropout2.forward(this.linear2.forward(hidden));
  }
}
