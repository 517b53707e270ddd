import { type DenseStage, denseStages } from "../models/dense_stages.js";
import { native } from "../native.js";
import type { Module } from "../nn/module.js";
import { allocate } from "../tensor/buffer_pool.js";
import { currentGenerator } from "../tensor/random.js";
import { Tensor } from "../tensor/tensor.js";

/** Numbers of each parameter that are compared: what trains or is loaded anew changes nearly all of them. */
const SAMPLED = 64;

/**
 * A network whose weights do not change, copied into memory of the binding: so a pass through it can go on beside other
 * kernels, whatever becomes of the network's own arrays meanwhile.
 */
export class FrozenCopy {
  /** The columns of its input and of its output. */
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly #stages: readonly DenseStage[];
  readonly #network: ReturnType<typeof native.frozenNetwork>;
  /** The running statistics of each BatchNorm, which train mode moves. */
  readonly #means: Float32Array[];
  readonly #variances: Float32Array[];
  readonly #samples: readonly (readonly [weights: Float32Array, sample: readonly number[]])[];

  private constructor(network: Module, stages: readonly DenseStage[]) {
    const [first, last] = [stages[0] as DenseStage, stages.at(-1) as DenseStage];
    this.inFeatures = first.linear.inFeatures;
    this.outFeatures = last.linear.outFeatures;
    this.#stages = stages;
    this.#network = copyOf(stages);
    this.#means = this.#norms.map(({ runningMean }) => runningMean.data);
    this.#variances = this.#norms.map(({ runningVar }) => runningVar.data);
    this.#samples = network.parameters().map(({ data }) => [data, sampleOf(data)]);
  }

  /** The copy of a network whose layers are known; null for any other. */
  static of(network: Module): FrozenCopy | null {
    const stages = denseStages(network);
    return stages === null || stages.length === 0 ? null : new FrozenCopy(network, stages);
  }

  /** Whether the network, by a sample of its weights, still is what was copied. */
  get isCurrent(): boolean {
    return this.#samples.every(([weights, sample]) => {
      const now = sampleOf(weights);
      return sample.every((x, i) => x === now[i]);
    });
  }

  /** Whether all layers that know modes are in train mode; null where some are. */
  get training(): boolean | null {
    const modes = new Set(this.#norms.map(({ training }) => training));
    for (const { dropout } of this.#stages) if (dropout !== null) modes.add(dropout.training);
    return modes.size > 1 ? null : modes.has(true);
  }

  /** The bytes that a pass of so many rows holds, about. */
  passBytes(rows: number): number {
    const widest = Math.max(...this.#stages.map(({ linear }) => linear.outFeatures));
    return Float32Array.BYTES_PER_ELEMENT * rows * (this.inFeatures + 3 * widest);
  }

  /** Begins the pass of inputs [rows, inFeatures], as the statistics stand now; the random stream moves past its draws. */
  begin({ data, shape }: Tensor, training: boolean): void {
    const { state } = currentGenerator();
    const rows = shape[0] as number;
    native.frozenBegin(this.#network, data, rows, training, state, this.#means, this.#variances);
  }

  /**
   * The logits [rows, outFeatures] of inputs [rows, inFeatures], and whether their pass was the next one that had begun;
   * statistics and random stream move as in the network's own `forward`.
   */
  logits({ data, shape }: Tensor, training: boolean): { logits: Tensor; hadBegun: boolean } {
    const rows = shape[0] as number;
    const out = allocate(rows * this.outFeatures);
    const { state } = currentGenerator();
    const [means, variances] = [this.#means, this.#variances];
    const hadBegun = native.frozenAnswer(this.#network, data, rows, training, state, means, variances, out);
    if (training) for (const norm of this.#norms) norm.countBatch();
    return { logits: new Tensor(out, [rows, this.outFeatures]), hadBegun };
  }

  /** Lets its memory go, which the garbage collector might hold for long: afterwards it answers no more. */
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

function sampleOf(weights: Float32Array): number[] {
  const step = Math.max(1, Math.floor(weights.length / SAMPLED));
  const sample: number[] = [];
  for (let i = 0; i < weights.length; i += step) sample.push(weights[i] as number);
  return sample;
}
