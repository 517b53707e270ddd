import * as v from "valibot";
import { badArgument, expectShape } from "../checks.js";
import { MAX_IDS } from "../data/text/encoding.js";
import { Embedding } from "../nn/embedding.js";
import { gelu, normalize } from "../nn/functional.js";
import { LayerNorm } from "../nn/layer_norm.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import type { StateDict } from "../nn/state_dict.js";
import { attend } from "../ops/attention.js";
import { boolean, described, integer, length, nonNegative, parseOptions } from "../registry/index.js";
import { expectTensor, Tensor } from "../tensor/tensor.js";
import { meanOfTokens, paddingOf, withoutPadding } from "./mean_of_tokens.js";
import { defineNetwork, depth } from "./network.js";

const size = (value: number, help: string) => described(v.optional(length(), value), help);

const OPTIONS = {
  layers: described(v.optional(depth(), 6), "layers of attention"),
  dim: size(384, "values of a token, and of the vector of a text"),
  heads: size(12, "heads of a layer"),
  hidden: size(1536, "width of the hidden layers"),
  buckets: described(v.optional(integer(2, MAX_IDS), 30_522), "rows of the table, those of its tokenizer"),
  positions: size(512, "most ids of a text"),
  types: size(2, "kinds of tokens, of which texts alone have the first"),
  eps: described(v.optional(nonNegative(), 1e-12), "added to the variances"),
  normalize: described(v.optional(boolean(), true), "whether the vectors are of length 1"),
};

/** The arguments of {@link Bert}. */
export type BertOptions = v.InferInput<v.ObjectSchema<typeof OPTIONS, undefined>>;
type Sizes = v.InferOutput<v.ObjectSchema<typeof OPTIONS, undefined>>;

/**
 * BERT's encoder (Devlin et al., 2019) as sentence-transformers use it: the mean over the tokens that are no padding,
 * of length 1 if `normalize` is true. Ids x [rows, length], 0 for none, to vectors [rows, dim]. State dict keys are
 * those of Hugging Face's `BertModel` without its pooler; the sizes by default are those of all-MiniLM-L6-v2.
 *
 * @example
 * ```ts
 * const encoder = await loadNetwork("all-MiniLM-L6-v2/model.safetensors", { network: "bert", shape: [128] });
 * ```
 */
export class Bert extends Module {
  readonly embeddings: Embeddings;
  readonly encoder: Encoder;
  readonly #normalize: boolean;

  constructor(options: BertOptions = {}) {
    super();
    const sizes = parseOptions("Bert", OPTIONS, options);
    if (sizes.dim % sizes.heads !== 0) throw badArgument("dim", `a multiple of the ${sizes.heads} heads`, sizes.dim);
    this.embeddings = new Embeddings(sizes);
    this.encoder = new Encoder(sizes);
    this.#normalize = sizes.normalize;
  }

  override forward(all: Tensor): Tensor {
    expectTensor("bert: ids", all);
    this.embeddings.expectIds(all);
    const ids = withoutPadding(this, all);
    const padding = paddingOf(ids);
    const mean = meanOfTokens(this.encoder.forward(this.embeddings.forward(ids), padding), padding);
    return this.#normalize ? normalize(mean) : mean;
  }
}

/** The rows of tokens, positions and the first type, added and normalised. */
class Embeddings extends Module {
  readonly word_embeddings: Embedding;
  readonly position_embeddings: Embedding;
  readonly token_type_embeddings: Embedding;
  readonly LayerNorm: LayerNorm;

  constructor({ buckets, dim, positions, types, eps }: Sizes) {
    super();
    this.word_embeddings = new Embedding(buckets, dim, { paddingIdx: 0 });
    this.position_embeddings = new Embedding(positions, dim);
    this.token_type_embeddings = new Embedding(types, dim);
    this.LayerNorm = new LayerNorm(dim, { eps });
  }

  expectIds({ shape }: Tensor): void {
    const { numEmbeddings: positions } = this.position_embeddings;
    expectShape("bert: ids", shape, [-1, -1]);
    if (shape[1] > positions) throw badArgument("bert: ids", `at most ${positions} a text`, shape[1]);
  }

  override forward(ids: Tensor): Tensor {
    const length = ids.shape[1];
    const places = this.position_embeddings.forward(new Tensor(Float32Array.from({ length }, (_, i) => i)));
    const first = this.token_type_embeddings.forward(new Tensor(Float32Array.of(0)));
    return this.LayerNorm.forward(this.word_embeddings.forward(ids).add(first).add(places));
  }
}

class Encoder extends Module {
  readonly layer: readonly Layer[];

  constructor(sizes: Sizes) {
    super();
    this.layer = Array.from({ length: sizes.layers }, () => new Layer(sizes));
  }

  override forward(x: Tensor, padding: Tensor): Tensor {
    return this.layer.reduce((x, layer) => layer.forward(x, padding), x);
  }
}

/** Attention, then a hidden layer, each added to its input and then normalised. */
class Layer extends Module {
  readonly attention: Attention;
  readonly intermediate: Dense;
  readonly output: Output;

  constructor(sizes: Sizes) {
    super();
    const { dim, hidden, eps } = sizes;
    this.attention = new Attention(sizes);
    this.intermediate = new Dense(dim, hidden);
    this.output = new Output(hidden, dim, eps);
  }

  override forward(x: Tensor, padding: Tensor): Tensor {
    const attended = this.attention.forward(x, padding);
    return this.output.forward(gelu(this.intermediate.forward(attended)), attended);
  }
}

class Attention extends Module {
  readonly self: Projections;
  readonly output: Output;

  constructor(sizes: Sizes) {
    super();
    this.self = new Projections(sizes);
    this.output = new Output(sizes.dim, sizes.dim, sizes.eps);
  }

  override forward(x: Tensor, padding: Tensor): Tensor {
    return this.output.forward(this.self.forward(x, padding), x);
  }
}

class Projections extends Module {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly #heads: number;

  constructor({ dim, heads }: Sizes) {
    super();
    this.query = new Linear(dim, dim);
    this.key = new Linear(dim, dim);
    this.value = new Linear(dim, dim);
    this.#heads = heads;
  }

  override forward(x: Tensor, padding: Tensor): Tensor {
    const [q, k, value] = [this.query, this.key, this.value].map((layer) => layer.forward(x));
    return attend([q, k, value], { heads: this.#heads, padding, dropout: 0 });
  }
}

class Dense extends Module {
  readonly dense: Linear;

  constructor(inputs: number, outputs: number) {
    super();
    this.dense = new Linear(inputs, outputs);
  }

  override forward(x: Tensor): Tensor {
    return this.dense.forward(x);
  }
}

class Output extends Module {
  readonly dense: Linear;
  readonly LayerNorm: LayerNorm;

  constructor(inputs: number, outputs: number, eps: number) {
    super();
    this.dense = new Linear(inputs, outputs);
    this.LayerNorm = new LayerNorm(outputs, { eps });
  }

  override forward(x: Tensor, before: Tensor): Tensor {
    return this.LayerNorm.forward(this.dense.forward(x).add(before));
  }
}

/** What a `config.json` says of a BERT; its numbers as options. */
const CONFIG = v.pipe(
  v.object({
    model_type: v.literal("bert"),
    hidden_act: v.literal("gelu"),
    position_embedding_type: v.optional(v.literal("absolute")),
    pad_token_id: v.optional(v.literal(0)),
    num_hidden_layers: v.number(),
    hidden_size: v.number(),
    num_attention_heads: v.number(),
    intermediate_size: v.number(),
    vocab_size: v.number(),
    max_position_embeddings: v.number(),
    type_vocab_size: v.number(),
    layer_norm_eps: v.number(),
    is_decoder: v.optional(v.literal(false)),
  }),
  v.transform((config) => ({
    layers: config.num_hidden_layers,
    dim: config.hidden_size,
    heads: config.num_attention_heads,
    hidden: config.intermediate_size,
    buckets: config.vocab_size,
    positions: config.max_position_embeddings,
    types: config.type_vocab_size,
    eps: config.layer_norm_eps,
  })),
);

/** The encoder's tensors of a BERT: without the parts for other tasks, and the numbers of its positions. */
function encoderState(state: StateDict): StateDict {
  const words = "embeddings.word_embeddings.weight";
  const prefix =
    Object.keys(state)
      .find((key) => key.endsWith(words))
      ?.slice(0, -words.length) ?? "";
  const entries = Object.entries(state).flatMap(([key, tensor]): [string, StateDict[string]][] => {
    // The first BERTs' files have TensorFlow's names of these two.
    const own = key
      .slice(prefix.length)
      .replace(/LayerNorm\.gamma$/, "LayerNorm.weight")
      .replace(/LayerNorm\.beta$/, "LayerNorm.bias");
    return key.startsWith(prefix) && /^(embeddings|encoder)\./.test(own) && own !== "embeddings.position_ids"
      ? [[own, tensor]]
      : [];
  });
  return Object.fromEntries(entries);
}

export const bert = defineNetwork({
  name: "bert",
  help: "texts: BERT's encoder, the mean over the tokens, of length 1; sizes are those in config.json beside its weights",
  options: OPTIONS,
  tasks: ["vectors"],
  create(options, { shape, classes }) {
    if (classes !== options.dim) throw badArgument("bert: dim", `${classes}, as the vectors have`, options.dim);
    if (shape.length !== 1 || shape[0] > options.positions) {
      throw badArgument("bert", `at most ${options.positions} ids a text`, shape);
    }
    return new Bert(options);
  },
  type: Bert,
  pretrained: {
    modelType: "bert",
    config: CONFIG,
    state: encoderState,
    positions: ({ embeddings }: Bert) => embeddings.position_embeddings.numEmbeddings,
  },
});
