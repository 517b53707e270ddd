import { expectFlags, expectLength, expectOptions, expectShape } from "../checks.js";
import { expectNormNumbers } from "../ops/batch_norm.js";
import { LongTensor } from "../tensor/int_tensor.js";
import { expectTensor, ones, Parameter, type Tensor, zeros } from "../tensor/tensor.js";
import { batchNorm } from "./functional.js";
import { Module } from "./module.js";

/**
 * Batch normalisation by feature, whatever lies behind its axis. PyTorch's state keys: weight and bias, unless `affine`
 * or `bias` is false, running_mean, running_var (unbiased), num_batches_tracked.
 */
export abstract class BatchNorm extends Module {
  /** A Parameter; with `affine: false` ones, which are neither trained nor stored. */
  readonly weight: Tensor;
  /** A Parameter; with `affine: false` or `bias: false` zeros, which are neither trained nor stored. */
  readonly bias: Tensor;
  readonly #runningMean: Tensor;
  readonly #runningVar: Tensor;
  readonly #numBatchesTracked: LongTensor;
  readonly eps: number;
  readonly momentum: number;

  constructor(
    readonly numFeatures: number,
    options: { eps?: number; momentum?: number; affine?: boolean; bias?: boolean } = {},
  ) {
    super();
    expectLength("numFeatures", numFeatures);
    expectOptions(this.constructor.name, options, ["eps", "momentum", "affine", "bias"]);
    const { eps = 1e-5, momentum = 0.1, affine = true, bias = true } = options;
    expectNormNumbers({ momentum, eps });
    expectFlags({ affine, bias });
    this.eps = eps;
    this.momentum = momentum;
    const [one, zero] = [ones([numFeatures]), zeros([numFeatures])];
    this.weight = affine ? new Parameter(one.data) : one;
    this.bias = affine && bias ? new Parameter(zero.data) : zero;
    this.#runningMean = this.registerBuffer("running_mean", zeros([numFeatures]));
    this.#runningVar = this.registerBuffer("running_var", ones([numFeatures]));
    this.#numBatchesTracked = this.registerBuffer("num_batches_tracked", new LongTensor(new BigInt64Array(1), []));
  }

  /** The mean that eval mode takes off, [features]. */
  get runningMean(): Tensor {
    return this.#runningMean;
  }

  /** The variance that eval mode divides by, [features]. */
  get runningVar(): Tensor {
    return this.#runningVar;
  }

  /** How many batches moved the running statistics. */
  get numBatchesTracked(): number {
    return this.#numBatchesTracked.item();
  }

  override forward(x: Tensor): Tensor {
    const { weight, bias, runningMean, runningVar, training, momentum, eps } = this;
    const out = batchNorm(x, { weight, bias, runningMean, runningVar }, { training, momentum, eps });
    if (training) this.countBatch();
    return out;
  }

  /** Counts a batch that moved the running statistics. @internal */
  countBatch(): void {
    this.#numBatchesTracked.data[0] = BigInt(this.numBatchesTracked + 1);
  }

  override extraRepr(): string {
    const { numFeatures, eps, momentum, weight, bias } = this;
    const [affine, shift] = [weight, bias].map((x) => (x instanceof Parameter ? "True" : "False"));
    return `${numFeatures}, eps=${pythonFloat(eps)}, momentum=${momentum}, affine=${affine}, bias=${shift}, track_running_stats=True`;
  }
}

/**
 * Batch normalisation of x [rows, features], or [rows, features, length]. `torch.nn.BatchNorm1d`.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` for x of another rank or number of features.
 * @example
 * ```ts
 * const bn = new BatchNorm1d(8);
 * bn.forward(randn([64, 8])); // by the batch's statistics
 * bn.eval().forward(randn([1, 8])); // by the running ones
 * ```
 */
export class BatchNorm1d extends BatchNorm {
  override forward(x: Tensor): Tensor {
    expectTensor("BatchNorm1d: x", x);
    if (x.shape.length > 3) expectShape("BatchNorm1d: x", x.shape, [-1, this.numFeatures, -1]);
    return super.forward(x);
  }
}

/**
 * Batch normalisation of images x [images, features, height, width] by channel. `torch.nn.BatchNorm2d`.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` for x of another rank or number of channels.
 * @example
 * ```ts
 * new BatchNorm2d(16).forward(randn([64, 16, 32, 32])).shape; // [64, 16, 32, 32]
 * ```
 */
export class BatchNorm2d extends BatchNorm {
  override forward(x: Tensor): Tensor {
    expectTensor("BatchNorm2d: x", x);
    expectShape("BatchNorm2d: x", x.shape, [-1, this.numFeatures, -1, -1]);
    return super.forward(x);
  }
}

/** 1e-5 as Python prints it: 1e-05. */
export function pythonFloat(x: number): string {
  return x !== 0 && x < 1e-4 ? x.toExponential().replace(/e-(\d)$/, "e-0$1") : String(x);
}
