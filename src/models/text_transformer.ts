import * as v from "valibot";
import { badArgument, expectShape } from "../checks.js";
import { DEFAULT_BUCKETS } from "../data/text/hash.js";
import { Embedding } from "../nn/embedding.js";
import { LayerNorm } from "../nn/layer_norm.js";
import { Dropout } from "../nn/layers.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { TransformerEncoderLayer } from "../nn/transformer_encoder_layer.js";
import { described, integer, length, parseOptions, range } from "../registry/index.js";
import { randn } from "../tensor/random.js";
import { expectTensor, Parameter, type Tensor } from "../tensor/tensor.js";
import { meanOfTokens, paddingOf, withoutPadding } from "./mean_of_tokens.js";
import { BUCKETS, bucketsFor, defineNetwork, depth, features } from "./network.js";

const OPTIONS = {
  layers: described(v.optional(depth(), 2), "layers of attention"),
  dim: described(v.optional(integer(1, 65_536), 64), "values of a token"),
  heads: described(v.optional(integer(1, 65_536), 4), "heads of a layer, of which dim is a multiple"),
  hidden: described(v.optional(length()), "width of the hidden layers, 4 dim by default"),
  dropout: described(
    v.optional(range(0, 1, "a chance from 0 to 1"), 0.1),
    "chance with which values become 0 in training",
  ),
  buckets: BUCKETS,
};

/** The arguments of {@link TextTransformer}. */
export interface TextTransformerOptions extends v.InferInput<v.ObjectSchema<typeof OPTIONS, undefined>> {
  /** The most ids of a text. */
  length: number;
  classes: number;
}

/**
 * A transformer's encoder of texts (Vaswani et al., 2017; its layers normalise first, GELU, learned positions), the
 * mean over the tokens that are no padding, and a Linear to the logits. Ids x [rows, length], 0 for none, to logits
 * [rows, classes]. Table and positions start as normals of deviation 0.02, as BERT's. State dict keys: `tokens.weight`,
 * `positions`, `layers.0.self_attn`, ..., `norm`, `fc`.
 *
 * @example
 * ```ts
 * const student = new TextTransformer({ layers: 2, dim: 32, heads: 4, buckets: 5000, length: 64, classes: 4 });
 * ```
 */
export class TextTransformer extends Module {
  readonly positions: Parameter;
  readonly tokens: Embedding;
  readonly dropout: Dropout;
  readonly layers: readonly TransformerEncoderLayer[];
  readonly norm: LayerNorm;
  readonly fc: Linear;

  constructor(options: TextTransformerOptions) {
    super();
    const given = parseOptions("TextTransformer", { ...OPTIONS, length: length(), classes: length() }, options);
    const { layers, dim, heads, hidden = 4 * dim, dropout, buckets = DEFAULT_BUCKETS, classes } = given;
    if (dim % heads !== 0) throw badArgument("dim", `a multiple of the ${heads} heads`, dim);
    this.tokens = new Embedding(buckets, dim, { paddingIdx: 0, sparse: true });
    this.tokens.weight.data.set(randn([buckets - 1, dim]).mul(DEVIATION).data, dim);
    this.positions = new Parameter(randn([given.length, dim]).mul(DEVIATION).data, [given.length, dim]);
    this.dropout = new Dropout(dropout);
    const each = { dimFeedforward: hidden, dropout, activation: "gelu", normFirst: true, batchFirst: true } as const;
    this.layers = Array.from({ length: layers }, () => new TransformerEncoderLayer(dim, heads, each));
    this.norm = new LayerNorm(dim);
    this.fc = new Linear(dim, classes);
  }

  override forward(all: Tensor): Tensor {
    expectTensor("text_transformer: ids", all);
    expectShape("text_transformer: ids", all.shape, [-1, this.positions.shape[0]]);
    const ids = withoutPadding(this, all, this.fc);
    const padding = paddingOf(ids);
    const places = ids === all ? this.positions : this.positions.slice(0, ids.shape[1]);
    let x = this.dropout.forward(this.tokens.forward(ids).add(places));
    for (const layer of this.layers) x = layer.forward(x, undefined, padding);
    return this.fc.forward(meanOfTokens(this.norm.forward(x), padding));
  }
}

const DEVIATION = 0.02;

export const textTransformer = defineNetwork({
  name: "text_transformer",
  help: "texts: layers of attention with learned positions, and the mean over the tokens",
  options: OPTIONS,
  decide: bucketsFor,
  create: (options, { shape, classes }) => new TextTransformer({ ...options, length: features({ shape }), classes }),
});
