import { expectInteger, expectNumber, expectOptions } from "../checks.js";
import { LongTensor } from "../tensor/int_tensor.js";
import { ones, Parameter, type Tensor, zeros } from "../tensor/tensor.js";
import { batchNorm } from "./functional.js";
import { Module } from "./module.js";

/**
 * Batch normalisation of x [rows, features]. `torch.nn.BatchNorm1d`, with its state keys: weight, bias, running_mean,
 * running_var (unbiased), num_batches_tracked.
 *
 * @example
 * ```ts
 * const bn = new BatchNorm1d(8);
 * bn.forward(randn([64, 8])); // by the batch's statistics
 * bn.eval().forward(randn([1, 8])); // by the running ones
 * ```
 */
export class BatchNorm1d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly #runningMean: Tensor;
  readonly #runningVar: Tensor;
  readonly #numBatchesTracked: LongTensor;
  readonly eps: number;
  readonly momentum: number;

  constructor(
    readonly numFeatures: number,
    options: { eps?: number; momentum?: number } = {},
  ) {
    super();
    expectInteger("numFeatures", numFeatures, 1, 2 ** 31 - 1);
    expectOptions("BatchNorm1d", options, ["eps", "momentum"]);
    const { eps = 1e-5, momentum = 0.1 } = options;
    this.eps = expectNumber("eps", eps, (x) => x >= 0, "a number of at least 0");
    // PyTorch's null, the cumulative average, is not among them.
    this.momentum = expectNumber("momentum", momentum, (x) => x >= 0 && x <= 1, "a number from 0 to 1");
    this.weight = new Parameter(ones([numFeatures]).data);
    this.bias = new Parameter(zeros([numFeatures]).data);
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
    const { numFeatures, eps, momentum } = this;
    return `${numFeatures}, eps=${pythonFloat(eps)}, momentum=${momentum}, affine=True, bias=True, track_running_stats=True`;
  }
}

/** 1e-5 as Python prints it: 1e-05. */
export function pythonFloat(x: number): string {
  return x !== 0 && x < 1e-4 ? x.toExponential().replace(/e-(\d)$/, "e-0$1") : String(x);
}
