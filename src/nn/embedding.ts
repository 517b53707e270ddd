import { expectFlags, expectInteger, expectLength, expectOneOf, expectOptions } from "../checks.js";
import { MOST_ROWS } from "../ops/embedding_bag.js";
import { type EmbeddingBagOptions, embedding, embeddingBag } from "../ops/index.js";
import type { IntTensor } from "../tensor/int_tensor.js";
import { randn } from "../tensor/random.js";
import { Parameter, type Tensor } from "../tensor/tensor.js";
import { Module } from "./module.js";

/** The options of {@link Embedding}, with PyTorch's names and defaults. */
export interface EmbeddingOptions {
  /** The id whose row starts as zeros and gets no gradient; default: none. */
  paddingIdx?: number | null;
  /** Whether gradient and optimizer touch the rows of the batch alone; default false. */
  sparse?: boolean;
}

/** A table of rows of `embeddingDim` values, one for each of `numEmbeddings` ids. */
abstract class Table extends Module {
  readonly weight: Parameter;
  readonly paddingIdx: number | null;
  readonly sparse: boolean;

  constructor(
    readonly numEmbeddings: number,
    readonly embeddingDim: number,
    { paddingIdx = null, sparse = false }: EmbeddingOptions,
  ) {
    super();
    expectInteger("numEmbeddings", numEmbeddings, 1, MOST_ROWS);
    expectLength("embeddingDim", embeddingDim);
    expectFlags({ sparse });
    if (paddingIdx !== null) expectInteger("paddingIdx", paddingIdx, 0, numEmbeddings - 1);
    this.paddingIdx = paddingIdx;
    this.sparse = sparse;
    this.weight = new Parameter(randn([numEmbeddings, embeddingDim]).data, [numEmbeddings, embeddingDim]);
    if (paddingIdx !== null) {
      this.weight.data.fill(0, paddingIdx * embeddingDim, (paddingIdx + 1) * embeddingDim);
    }
  }

  override get vocabulary(): number {
    return this.numEmbeddings;
  }

  override extraRepr(): string {
    const padding = this.paddingIdx === null ? "" : `, padding_idx=${this.paddingIdx}`;
    return `${this.numEmbeddings}, ${this.embeddingDim}${padding}`;
  }
}

/**
 * The row of each id: ids [...] to [..., embeddingDim]. `torch.nn.Embedding`, with its initial values, normals, and its
 * state key: weight. Ids are whole numbers, in an IntTensor or in a float tensor, as all inputs of a network.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for an id that names no row.
 * @example
 * ```ts
 * const layer = new Embedding(1000, 64, { paddingIdx: 0 });
 * layer.forward(tensor([[5, 17, 0]])).shape; // [1, 3, 64]
 * ```
 */
export class Embedding extends Table {
  constructor(numEmbeddings: number, embeddingDim: number, options: EmbeddingOptions = {}) {
    expectOptions("Embedding", options, ["paddingIdx", "sparse"]);
    super(numEmbeddings, embeddingDim, options);
  }

  override forward(ids: Tensor | IntTensor): Tensor {
    return embedding(ids, this.weight, { paddingIdx: this.paddingIdx, sparse: this.sparse });
  }
}

/**
 * The sum or mean of the rows that the ids of a bag name: ids [bags, length] to [bags, embeddingDim].
 * `torch.nn.EmbeddingBag`, with its initial values, normals, and its state key: weight. A negative id is the row of its
 * magnitude, subtracted.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for an id that names no row.
 * @example
 * ```ts
 * const bag = new EmbeddingBag(1000, 64, { paddingIdx: 0, sparse: true });
 * bag.forward(tensor([[5, 17, 0, 0]])).shape; // [1, 64]
 * ```
 */
export class EmbeddingBag extends Table {
  readonly mode: NonNullable<EmbeddingBagOptions["mode"]>;

  constructor(
    numEmbeddings: number,
    embeddingDim: number,
    options: EmbeddingOptions & Pick<EmbeddingBagOptions, "mode"> = {},
  ) {
    expectOptions("EmbeddingBag", options, ["mode", "paddingIdx", "sparse"]);
    const { mode = "mean" } = options;
    super(numEmbeddings, embeddingDim, options);
    this.mode = expectOneOf("mode", mode, ["sum", "mean"]);
  }

  /** `perSampleWeights` [bags, length]: what each row is multiplied by; with mode `sum` alone. */
  override forward(ids: Tensor | IntTensor, perSampleWeights?: Tensor): Tensor {
    const { mode, paddingIdx, sparse } = this;
    return embeddingBag(ids, this.weight, { mode, paddingIdx, sparse, perSampleWeights: perSampleWeights ?? null });
  }

  override extraRepr(): string {
    return `${super.extraRepr()}, mode=${this.mode}`;
  }
}
