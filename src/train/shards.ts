import { types } from "node:util";
import type { Batch } from "../data/dataset.js";
import type { Metrics } from "../log/epoch_record.js";
import type { DistillationLoss, Outputs } from "../losses/index.js";
import { native } from "../native.js";
import type { Teacher } from "../teachers/index.js";
import { LongTensor } from "../tensor/int_tensor.js";
import { drawSeed, Generator, withGenerator } from "../tensor/random.js";
import { Tensor } from "../tensor/tensor.js";
import { NO_TEACHER } from "./no_teacher.js";
import type { Ranks } from "./ranks.js";
import { ShardSum } from "./shard_sum.js";
import type { Step } from "./step.js";
import type { Trainer } from "./trainer.js";

/** The forward and backward pass of some samples, whose gradients are multiplied by a weight. */
export type Pass = (batch: Batch, teacher: Outputs, weight: number) => PassResult;

type Values = Float32Array | BigInt64Array;

interface PassResult {
  readonly loss: number;
  /** Means over the samples. */
  readonly metrics: Metrics;
  /** Sums over the samples. */
  readonly counts: Metrics;
}

/**
 * Takes the batches of a run shard by shard. Each shard has the random stream of a seed that is drawn once a batch, plus the shard's
 * number, and starts from the same buffers. The gradients are those of the batch's mean: each shard's are weighted by its share of the
 * samples, and so are the changes of the buffers. Both are added in the order of a {@link ShardSum}, whoever computed them.
 */
export class Shards {
  readonly #parameters: readonly Tensor[];
  /** What a pass may change, as running statistics. */
  readonly #buffers: readonly (Tensor | LongTensor)[];
  readonly #ranks: Ranks | null;
  /** Of each parameter whether it has a gradient; the gradients; the changes of the buffers. */
  readonly #sum: ShardSum;
  /** Of the first two. */
  readonly #length: number;
  /** The gradients of the batches before, of an optimizer's step. */
  #group: Float32Array | null = null;

  constructor(
    private readonly count: number,
    trainer: Pick<Trainer, "model" | "parameters" | "ranks">,
    loss: DistillationLoss,
    private readonly teacher: Teacher | null,
  ) {
    const modules = Object.values(loss.modules ?? {});
    this.#parameters = trainer.parameters;
    this.#ranks = trainer.ranks;
    const buffers = [trainer.model, ...modules].flatMap((module) => module.namedBuffers().map(([, buffer]) => buffer));
    const moved = new Set([...buffers, ...Object.values(teacher?.state?.() ?? {})]);
    this.#buffers = [...moved].filter((buffer) => buffer instanceof Tensor || buffer instanceof LongTensor);
    this.#length = this.#parameters.length + sizeOf(this.#parameters);
    this.#sum = new ShardSum(this.#length + sizeOf(this.#buffers));
  }

  /** The passes of a batch; after the last one of a group the parameters have its gradients. */
  async run(step: Step, pass: Pass): Promise<void> {
    const { count, teacher } = this;
    const seed = step.run(drawSeed);
    const samples = step.epoch.samplesOf(step.index);
    const before = this.#buffers.map(({ data }) => data.slice());
    const weighted: { weight: number; result: PassResult }[] = [];
    this.#sum.clear();
    const { start, end } = this.#ranks?.shardsOf(count) ?? { start: 0, end: count };
    for (let shard = start; shard < end; shard++) {
      const generator = new Generator(seed + BigInt(shard));
      const run = <T>(body: () => T) => step.run(() => withGenerator(generator, body));
      const taken = run(() => {
        const batch = step.epoch.shard(step.index, shard, count);
        return batch && { batch, outputs: teacher?.outputs(batch) ?? NO_TEACHER };
      });
      if (taken === null) break;
      const { batch, outputs } = taken;
      const teacherOutputs = types.isPromise(outputs) ? await step.arrival(outputs) : outputs;
      run(() => {
        for (const parameter of this.#parameters) parameter.zeroGrad();
        const weight = batch.indices.length / samples;
        const result = pass(batch, teacherOutputs, weight / step.groupSize);
        weighted.push({ weight, result });
        this.#sum.add(shard, 1, (into) => this.#collect(into, before, weight));
        for (const [i, { data }] of this.#buffers.entries()) setAll(data, before[i]);
      });
    }
    const ranks = this.#ranks;
    const sum = ranks === null ? this.#sum.take() : await ranks.sum(this.#sum.partial, this.#sum.length);
    const all =
      ranks === null ? weighted : (await ranks.texts(JSON.stringify(weighted))).flatMap((text) => JSON.parse(text));
    step.run(() => {
      this.#deliver(sum, before, step);
      const { loss, ...metrics } = combined(all);
      step.report(loss, metrics);
    });
  }

  /** Writes what a shard gives to the sum. */
  #collect(into: Float32Array, before: readonly Values[], weight: number): void {
    let at = this.#parameters.length;
    for (const [i, parameter] of this.#parameters.entries()) {
      const gradient = parameter.materializedGrad();
      into[i] = gradient === null ? 0 : 1;
      if (gradient === null) into.fill(0, at, at + parameter.size);
      else into.set(gradient, at);
      at += parameter.size;
    }
    for (const [i, { data }] of this.#buffers.entries()) {
      for (let j = 0; j < data.length; j++) into[at + j] = weight * (Number(data[j]) - Number(before[i][j]));
      at += data.length;
    }
  }

  /** Moves the buffers by the sum, and gives the parameters the gradients of the group so far. */
  #deliver(sum: Float32Array, before: readonly Values[], { isFirstOfGroup, isLastOfGroup }: Step): void {
    let at = this.#length;
    for (const [i, { data }] of this.#buffers.entries()) {
      const old = before[i];
      if (data instanceof Float32Array)
        for (let j = 0; j < data.length; j++) data[j] = (old[j] as number) + sum[at + j];
      else for (let j = 0; j < data.length; j++) data[j] = (old[j] as bigint) + BigInt(Math.round(sum[at + j]));
      at += data.length;
    }
    const gradients = sum.subarray(0, this.#length);
    const group = this.#group;
    if (!isFirstOfGroup && group !== null) native.accumulate(gradients, group);
    else if (!isLastOfGroup) this.#group = gradients.slice();
    if (!isLastOfGroup) return;
    this.#setGradients(isFirstOfGroup || group === null ? gradients : group);
    this.#group = null;
  }

  #setGradients(values: Float32Array): void {
    let at = this.#parameters.length;
    for (const [i, parameter] of this.#parameters.entries()) {
      parameter.zeroGrad();
      if (values[i] > 0) parameter.gradBuffer().set(values.subarray(at, at + parameter.size));
      at += parameter.size;
    }
  }
}

function sizeOf(tensors: readonly { readonly data: Values }[]): number {
  return tensors.reduce((sum, { data }) => sum + data.length, 0);
}

function setAll(data: Values, values: Values): void {
  if (data instanceof Float32Array) data.set(values as Float32Array);
  else data.set(values as BigInt64Array);
}

/** The loss and the metrics of a batch: means over its samples, and sums. */
function combined(shards: readonly { weight: number; result: PassResult }[]): Metrics {
  const sums: Record<string, number> = {};
  for (const { weight, result } of shards) {
    const { loss, metrics, counts } = result;
    for (const [name, value] of Object.entries({ loss, ...metrics })) sums[name] = (sums[name] ?? 0) + weight * value;
    for (const [name, value] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + value;
  }
  return sums;
}
