import * as v from "valibot";
import { MAX_LENGTH } from "../checks.js";
import { DEFAULT_BUCKETS } from "../data/text/hash.js";
import { EmbeddingBag } from "../nn/embedding.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { described, integer, length, parseOptions } from "../registry/index.js";
import { rand } from "../tensor/random.js";
import type { Tensor } from "../tensor/tensor.js";
import { BUCKETS, bucketsFor, defineNetwork } from "./network.js";

const OPTIONS = {
  buckets: BUCKETS,
  dim: described(v.optional(integer(1, 65_536), 64), "values of a row"),
  hidden: described(v.optional(integer(0, MAX_LENGTH), 0), "width of a hidden layer, 0 for none"),
};

/** The arguments of {@link TextBag}. */
export interface TextBagOptions {
  /** Rows of the table, as many as the texts' encoding has ids; default: as many as `hash` has. */
  buckets?: number;
  /** Values of a row. Default 64. */
  dim?: number;
  /** Width of a hidden layer; default 0: none. */
  hidden?: number;
  classes: number;
}

/**
 * fastText's classifier (Joulin et al., 2017): the mean of the rows that a text's ids name, then a Linear to the
 * logits, with a hidden layer of ReLU between them if `hidden` is not 0. Ids x [rows, length], 0 for none, to logits
 * [rows, classes]. The table starts uniform in ±1/dim as fastText's; its gradient and optimizer touch the rows of the
 * batch alone. State dict keys: `bag.weight`, `fc1`, `fc2`.
 *
 * @example
 * ```ts
 * const student = new TextBag({ buckets: 20_000, dim: 32, classes: 4 });
 * ```
 */
export class TextBag extends Module {
  readonly bag: EmbeddingBag;
  readonly fc1: Linear;
  readonly fc2: Linear | null;

  constructor(options: TextBagOptions) {
    super();
    const schemas = { ...OPTIONS, classes: length() };
    const { buckets = DEFAULT_BUCKETS, dim, hidden, classes } = parseOptions("TextBag", schemas, options);
    this.bag = new EmbeddingBag(buckets, dim, { paddingIdx: 0, sparse: true });
    this.bag.weight.data.set(rand([buckets - 1, dim], -1 / dim, 1 / dim).data, dim);
    this.fc1 = new Linear(dim, hidden === 0 ? classes : hidden);
    this.fc2 = hidden === 0 ? null : new Linear(hidden, classes);
  }

  override forward(ids: Tensor): Tensor {
    const first = this.fc1.forward(this.bag.forward(ids));
    return this.fc2 === null ? first : this.fc2.forward(first.relu());
  }
}

export const textBag = defineNetwork({
  name: "text_bag",
  help: "texts: the mean of a table's rows, then linear layers, as fastText (Joulin et al., 2017)",
  options: OPTIONS,
  decide: bucketsFor,
  create: (options, { classes }) => new TextBag({ ...options, classes }),
});
