import { type DenseStage, denseStages } from "../models/dense_stages.js";
import { native } from "../native.js";
import type { Module } from "../nn/module.js";
import { allocate } from "../tensor/buffer_pool.js";
import { currentGenerator } from "../tensor/random.js";
import { Tensor } from "../tensor/tensor.js";

/** By layer. */
interface Statistics {
  means: Float32Array[];
  variances: Float32Array[];
}

/**
 * A snapshot of a network's weights in native memory: its forward passes run beside other kernels, whatever becomes of the
 * network's own arrays meanwhile.
 */
export class FrozenModel {
  /** The columns of its input and of its output. */
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly #stages: readonly DenseStage[];
  readonly #network: ReturnType<typeof native.frozenNetwork>;
  /** The running statistics of each BatchNorm: the network's own, which train mode moves, and as they were. */
  readonly #moving: Statistics;
  readonly #fixed: Statistics;

  private constructor(stages: readonly DenseStage[]) {
    const [first, last] = [stages[0], stages.at(-1) as DenseStage];
    this.inFeatures = first.linear.inFeatures;
    this.outFeatures = last.linear.outFeatures;
    this.#stages = stages;
    this.#network = copyOf(stages);
    const statistics = this.#norms.map(({ runningMean, runningVar }) => [runningMean.data, runningVar.data]);
    this.#moving = { means: statistics.map(([mean]) => mean), variances: statistics.map(([, variance]) => variance) };
    const copies = (arrays: readonly Float32Array[]) => arrays.map((array) => array.slice());
    this.#fixed = { means: copies(this.#moving.means), variances: copies(this.#moving.variances) };
  }

  /** The snapshot of a network; null if it has layers that can't run natively. */
  static of(network: Module): FrozenModel | null {
    const stages = denseStages(network);
    return stages === null || stages.length === 0 ? null : new FrozenModel(stages);
  }

  /** Whether all layers that have modes are in train mode; null if only some are. */
  get training(): boolean | null {
    const modes = new Set(this.#norms.map(({ training }) => training));
    for (const { dropout } of this.#stages) if (dropout !== null) modes.add(dropout.training);
    return modes.size > 1 ? null : modes.has(true);
  }

  /** The bytes that a forward pass of this many rows holds, about. */
  activationBytes(rows: number): number {
    const widest = Math.max(...this.#stages.map(({ linear }) => linear.outFeatures));
    return Float32Array.BYTES_PER_ELEMENT * rows * (this.inFeatures + 3 * widest);
  }

  /**
   * Starts the forward pass of inputs [rows, inFeatures] with the present running statistics; the random stream moves past
   * its draws.
   */
  enqueue({ data, shape }: Tensor, training: boolean): void {
    const { state } = currentGenerator();
    const rows = shape[0];
    const { means, variances } = training ? this.#moving : this.#fixed;
    native.frozenBegin(this.#network, data, rows, training, state, means, variances);
  }

  /**
   * The logits [rows, outFeatures] of inputs [rows, inFeatures]; a hit if their pass was the next one in flight.
   * Statistics and random stream move as in the network's own `forward`.
   */
  take({ data, shape }: Tensor, training: boolean): { logits: Tensor; hit: boolean } {
    const rows = shape[0];
    const out = allocate(rows * this.outFeatures);
    const { state } = currentGenerator();
    const { means, variances } = training ? this.#moving : this.#fixed;
    const hit = native.frozenAnswer(this.#network, data, rows, training, state, means, variances, out);
    if (training) for (const norm of this.#norms) norm.countBatch();
    return { logits: new Tensor(out, [rows, this.outFeatures]), hit };
  }

  /** Frees its memory, which the garbage collector might hold for long: it can't be used afterwards. */
  release(): void {
    native.frozenRelease(this.#network);
  }

  get #norms() {
    return this.#stages.flatMap(({ norm }) => norm ?? []);
  }
}

function copyOf(stages: readonly DenseStage[]): ReturnType<typeof native.frozenNetwork> {
  const network = native.frozenNetwork();
  for (const { linear, relu, norm, dropout } of stages) {
    const { weight, bias, inFeatures, outFeatures } = linear;
    if (norm === null) {
      native.frozenLinear(network, weight.data, bias?.data ?? null, outFeatures, inFeatures, relu);
      continue;
    }
    native.frozenHidden(
      network,
      weight.data,
      bias?.data ?? null,
      norm.weight.data,
      norm.bias.data,
      outFeatures,
      inFeatures,
      norm.eps,
      norm.momentum,
      dropout?.p ?? 0,
    );
  }
  return network;
}
