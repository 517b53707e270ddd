import { argumentError } from "../checks.js";
import type { Batch } from "../data/dataset.js";
import { DistilleryError } from "../errors.js";
import type { Metrics } from "../log/epoch_record.js";
import type { Outputs, ShardedMemory } from "../losses/index.js";
import { BackwardPass } from "../tensor/autograd.js";
import { Barrier } from "../tensor/barrier.js";
import type { Gradient } from "../tensor/gradient.js";
import type { LongTensor } from "../tensor/int_tensor.js";
import { type Generator, withGenerator } from "../tensor/random.js";
import { Replay } from "../tensor/replay.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Ranks } from "./ranks.js";

/** The forward pass of some samples. */
export type Forward = (batch: Batch, teacher: Outputs) => ForwardResult;

/** What a shard reports about its samples. */
export interface ShardResult {
  readonly loss: number;
  /** Means over the samples. */
  readonly metrics: Metrics;
  /** Sums over the samples. */
  readonly counts: Metrics;
}

interface ForwardResult extends ShardResult {
  /** The loss, for the backward pass. */
  readonly root: Tensor;
}

export type Values = Float32Array | BigInt64Array;

/** What all shards of a rank share. */
interface Shared {
  readonly parameters: readonly Tensor[];
  readonly buffers: readonly (Tensor | LongTensor)[];
  /** Memories, whose updates wait for the end of the batch. */
  readonly memories: readonly ShardedMemory[];
}

/** What a shard computes with. */
interface ShardInput {
  readonly shard: number;
  readonly batch: Batch;
  readonly outputs: Outputs;
  readonly generator: Generator;
  /** The gradients of the parameters while other shards run. */
  readonly gradients: Gradient[];
}

/**
 * The forward and the backward pass of one shard, which may wait at barriers while other shards use the same networks.
 */
export class ShardPass {
  readonly #replay = new Replay();
  /** The buffers and the random stream as the forward pass begins. */
  readonly #start: readonly Values[];
  readonly #random: Uint32Array;
  #forward: ForwardResult | null = null;
  #backward: BackwardPass | null = null;
  /** The buffers as the forward pass left them. */
  moved: readonly Values[] = [];
  /** The updates of each memory. */
  updates: readonly Float64Array[][] = [];

  constructor(
    private readonly shared: Shared,
    private readonly input: ShardInput,
  ) {
    this.#start = shared.buffers.map(({ data }) => data.slice());
    this.#random = input.generator.state.slice();
  }

  get samples(): number {
    return this.input.batch.indices.length;
  }

  get result(): ShardResult {
    const { loss, metrics, counts } = this.#ended;
    return { loss, metrics, counts };
  }

  /** Runs the forward pass to its end. */
  forward(forward: Forward): void {
    this.#end(this.#run(forward));
  }

  /** Runs the backward pass to its end: adds the gradients of the weighted loss to those of the parameters. */
  backward(weight: number): void {
    weighted(this.#ended.root, weight).backward();
  }

  /**
   * Runs the forward pass from its beginning to the first barrier that has to wait, which it returns; null: it has
   * ended.
   */
  replay(forward: Forward): Barrier | null {
    if (this.#forward !== null) return null;
    for (const [i, { data }] of this.shared.buffers.entries()) setAll(data, this.#start[i]);
    this.input.generator.state.set(this.#random);
    const given = this.#replay.run(() => this.#run(forward));
    if (given instanceof Barrier) return given;
    this.#end(given.value);
    return null;
  }

  /** Continues the backward pass to the next barrier. */
  propagate(weight: number): Barrier | null {
    this.#backward ??= new BackwardPass(weighted(this.#ended.root, weight));
    const backward = this.#backward;
    return this.withGradients(() => backward.run());
  }

  /** What the forward pass gave. */
  get #ended(): ForwardResult {
    if (this.#forward === null) throw new DistilleryError("INTERNAL", "shard: its forward pass has not ended");
    return this.#forward;
  }

  #end(result: ForwardResult): void {
    this.#forward = result;
    this.moved = this.shared.buffers.map(({ data }) => data.slice());
  }

  #run(forward: Forward): ForwardResult {
    const { shard, batch, outputs, generator } = this.input;
    const updates = this.shared.memories.map((): Float64Array[] => []);
    const body = this.shared.memories.reduce(
      (inner, memory, i) => () => memory.asShard(shard, updates[i], inner),
      () => forward(batch, outputs),
    );
    const result = withGenerator(generator, body);
    this.updates = updates;
    return result;
  }

  /** Runs `body` while the parameters have this shard's gradients. */
  withGradients<T>(body: () => T): T {
    const swap = () => {
      const { gradients } = this.input;
      for (const [i, parameter] of this.shared.parameters.entries())
        gradients[i] = parameter.swapGradient(gradients[i]);
    };
    swap();
    try {
      return body();
    } finally {
      swap();
    }
  }
}

/** The shards and ranks that take part in a batch. */
interface Parties {
  /** How many shards have samples, on all ranks. */
  readonly shards: number;
  readonly ranks: Ranks | null;
}

/**
 * Runs a rank's shards of a batch from barrier to barrier until all have ended: `turn` continues one and returns the
 * barrier at which it waits. The values that all shards of all ranks bring to a barrier are combined in the shards'
 * order.
 */
export async function lockstep<P>(
  parts: readonly P[],
  turn: (part: P) => Barrier | null,
  { shards, ranks }: Parties,
): Promise<void> {
  for (;;) {
    const waiting = parts.map(turn).filter((barrier) => barrier !== null);
    const own = waiting.map((barrier) => barrier.own);
    const alike = (arrays: readonly Float64Array[]) => arrays.every(({ length }) => length === arrays[0].length);
    const all = ranks === null || !alike(own) ? own : await ranks.numbers(own);
    if (all.length === 0) return;
    if (all.length < shards || !alike(all)) {
      const text = `${all.length} of ${shards} shards wait at a BatchNorm that the others do not have there`;
      throw argumentError("batchNorm", `${text}: leave it at "shard"`);
    }
    for (const barrier of waiting) barrier.all = all.reduce(barrier.combine);
  }
}

/** A loss times its weight. */
export function weighted(loss: Tensor, weight: number): Tensor {
  return weight === 1 ? loss : loss.mul(weight);
}

/** Writes values into an array of their length. */
export function setAll(data: Values, values: Values): void {
  if (data instanceof Float32Array) data.set(values as Float32Array);
  else data.set(values as BigInt64Array);
}
