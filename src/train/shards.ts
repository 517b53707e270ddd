import { types } from "node:util";
import type { Metrics } from "../log/epoch_record.js";
import type { DistillationLoss, ShardedMemory } from "../losses/index.js";
import { shardedMemories } from "../losses/loss.js";
import { native } from "../native.js";
import type { Teacher } from "../teachers/index.js";
import { NO_TEACHER } from "../teachers/teacher.js";
import { putRows, rowsOf } from "../tensor/grad_rows.js";
import { Gradient } from "../tensor/gradient.js";
import { LongTensor } from "../tensor/int_tensor.js";
import { drawSeed, Generator, withGenerator } from "../tensor/random.js";
import { Tensor } from "../tensor/tensor.js";
import type { ResolvedTraining } from "./options.js";
import type { Ranks } from "./ranks.js";
import { type Forward, lockstep, ShardPass, type ShardResult, setAll, type Values } from "./shard_pass.js";
import { ShardSum } from "./shard_sum.js";
import type { Step } from "./train_step.js";
import type { Trainer } from "./trainer.js";

interface WeightedResult {
  readonly weight: number;
  readonly result: ShardResult;
}

/** Which shards of a batch are run here, and where their results go. */
interface Passes {
  readonly start: number;
  /** Not included. */
  readonly end: number;
  readonly seed: bigint;
  /** The buffers that each starts from. */
  readonly before: readonly Values[];
  readonly take: (shard: number, pass: ShardPass) => void;
}

/**
 * Runs the batches of a run shard by shard. Each shard has the random stream of a seed that is drawn once per batch,
 * plus the shard's number, and all shards start from the same buffers. The gradients are those of the batch's mean: the
 * gradients of each shard, and the changes of its buffers, are weighted by its fraction of the samples. Both are added
 * in the order of a {@link ShardSum}, whichever rank computed them. With `batchNorm` "batch" all shards wait for each
 * other at each BatchNorm, forward and backward.
 */
export class Shards {
  readonly #parameters: readonly Tensor[];
  /** Buffers that a pass may change, such as running statistics. */
  readonly #buffers: readonly (Tensor | LongTensor)[];
  readonly #memories: readonly ShardedMemory[];
  readonly #ranks: Ranks | null;
  /**
   * A shard's result: for each parameter whether it has a gradient; for each row of a matrix too; the gradients; the
   * changes of the buffers.
   */
  readonly #sum: ShardSum;
  /** Of the first three. */
  readonly #length: number;
  /** Memory for the gradients of each shard while others pass. */
  readonly #kept: Gradient[][] = [];
  /** The gradients of the previous batches of the same optimizer step. */
  #group: Float32Array | null = null;

  constructor(
    private readonly options: Pick<ResolvedTraining, "shards" | "batchSize" | "batchNorm">,
    trainer: Pick<Trainer, "model" | "parameters" | "ranks">,
    loss: DistillationLoss,
    private readonly teacher: Teacher | null,
  ) {
    const modules = Object.values(loss.modules ?? {});
    this.#parameters = trainer.parameters;
    this.#ranks = trainer.ranks;
    const buffers = [trainer.model, ...modules].flatMap((module) => module.namedBuffers().map(([, buffer]) => buffer));
    const moved = new Set([...buffers, ...Object.values(teacher?.state?.() ?? {})]);
    this.#memories = modules.flatMap(shardedMemories);
    for (const bank of this.#memories.flatMap(({ banks }) => banks)) moved.delete(bank);
    this.#buffers = [...moved].filter((buffer) => buffer instanceof Tensor || buffer instanceof LongTensor);
    const rows = this.#parameters.reduce((sum, parameter) => sum + rowsIn(parameter), 0);
    this.#length = this.#parameters.length + rows + sizeOf(this.#parameters);
    this.#sum = new ShardSum(this.#length + sizeOf(this.#buffers));
  }

  /** Runs the passes of a batch; after the last batch of a group the parameters have the group's gradients. */
  async run(step: Step, forward: Forward): Promise<void> {
    const { shards, batchNorm } = this.options;
    const ranks = this.#ranks;
    const seed = step.run(drawSeed);
    const before = this.#buffers.map(({ data }) => data.slice());
    const results: WeightedResult[] = [];
    const updates = this.#memories.map((): Float64Array[] => []);
    const take = (shard: number, pass: ShardPass) => {
      const weight = pass.samples / step.epoch.samplesOf(step.index);
      results.push({ weight, result: pass.result });
      for (const [i, rows] of pass.updates.entries()) updates[i].push(...rows);
      this.#sum.add(shard, 1, (into) => this.#collect(into, before, pass.moved, weight));
      this.#restore(before);
    };
    this.#sum.clear();
    const { start, end } = ranks?.shardsOf(shards) ?? { start: 0, end: shards };
    if (batchNorm === "batch") await this.#together(step, forward, { start, end, seed, before, take });
    else await this.#oneByOne(step, forward, { start, end, seed, before, take });
    const sum = ranks === null ? this.#sum.take() : await ranks.sum(this.#sum.partial, this.#sum.length);
    const ofAllRanks = ranks === null ? results : await exchanged(results, ranks);
    for (const [i, memory] of this.#memories.entries())
      memory.takeRows(ranks === null ? updates[i] : await ranks.numbers(updates[i]));
    step.run(() => {
      this.#deliver(sum, before, step);
      const { loss, ...metrics } = combined(ofAllRanks);
      step.report(loss, metrics);
    });
  }

  async #oneByOne(step: Step, forward: Forward, { start, end, seed, take }: Passes): Promise<void> {
    for (let shard = start; shard < end; shard++) {
      const pass = await this.#open(step, shard, seed);
      if (pass === null) return;
      step.run(() => {
        for (const parameter of this.#parameters) parameter.zeroGrad();
        pass.forward(forward);
        pass.backward(this.#weightOf(pass, step));
        take(shard, pass);
      });
    }
  }

  /** Runs all shards together, from barrier to barrier. */
  async #together(step: Step, forward: Forward, { start, end, seed, before, take }: Passes): Promise<void> {
    const passes: ShardPass[] = [];
    for (let shard = start; shard < end; shard++) {
      const pass = await this.#open(step, shard, seed);
      if (pass === null) break;
      passes.push(pass);
      this.#restore(before);
    }
    const size = Math.ceil(this.options.batchSize / this.options.shards);
    const parties = { shards: Math.ceil(step.epoch.samplesOf(step.index) / size), ranks: this.#ranks };
    await lockstep(passes, (pass) => step.run(() => pass.replay(forward)), parties);
    await lockstep(passes, (pass) => step.run(() => pass.propagate(this.#weightOf(pass, step))), parties);
    for (const [i, pass] of passes.entries()) {
      step.run(() =>
        pass.withGradients(() => {
          take(start + i, pass);
          for (const parameter of this.#parameters) parameter.zeroGrad();
        }),
      );
    }
  }

  /** A shard's samples and the teacher's outputs for them; null if a short batch has no samples for it. */
  async #open(step: Step, shard: number, seed: bigint): Promise<ShardPass | null> {
    const { shards } = this.options;
    const generator = new Generator(seed + BigInt(shard));
    const taken = step.run(() =>
      withGenerator(generator, () => {
        const batch = step.epoch.shard(step.index, shard, shards);
        return batch && { batch, outputs: this.teacher === null ? NO_TEACHER : this.teacher.outputs(batch) };
      }),
    );
    if (taken === null) return null;
    const { batch, outputs } = taken;
    const arrived = types.isPromise(outputs) ? await step.arrival(outputs) : outputs;
    this.#kept[shard] ??= this.#parameters.map(({ shape }) => new Gradient(shape));
    const input = { shard, batch, outputs: arrived, generator, gradients: this.#kept[shard] };
    const shared = { parameters: this.#parameters, buffers: this.#buffers, memories: this.#memories };
    return new ShardPass(shared, input);
  }

  #weightOf({ samples }: ShardPass, { epoch, index, groupSize }: Step): number {
    return samples / epoch.samplesOf(index) / groupSize;
  }

  #restore(before: readonly Values[]): void {
    for (const [i, { data }] of this.#buffers.entries()) setAll(data, before[i]);
  }

  /** Adds a shard's result to the sum. */
  #collect(into: Float32Array, before: readonly Values[], moved: readonly Values[], weight: number): void {
    let at = this.#parameters.length;
    for (const [i, parameter] of this.#parameters.entries()) {
      const byRows = parameter.gradient.byRows();
      const gradient = byRows === null ? parameter.gradient.materialized() : null;
      into[i] = parameter.gradient.data === null ? 0 : 1;
      into.fill(gradient === null ? 0 : 1, at, at + rowsIn(parameter));
      for (const row of byRows?.rows ?? []) into[at + row] = 1;
      at += rowsIn(parameter);
      const values = into.subarray(at, at + parameter.size);
      if (gradient === null) values.fill(0);
      else values.set(gradient);
      if (byRows !== null) putRows(byRows, parameter.shape[1], values);
      at += parameter.size;
    }
    for (const [i, data] of moved.entries()) {
      // A value that did not change has a change of 0, even if it is infinite.
      for (let j = 0; j < data.length; j++)
        into[at + j] = data[j] === before[i][j] ? 0 : weight * (Number(data[j]) - Number(before[i][j]));
      at += data.length;
    }
  }

  /** Changes the buffers by the sum, and gives the parameters the gradients of the group so far. */
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
      const named = rowsWith(values.subarray(at, at + rowsIn(parameter)));
      at += rowsIn(parameter);
      const gradient = values.subarray(at, at + parameter.size);
      if (named.length < rowsIn(parameter)) {
        if (values[i] > 0)
          parameter.gradient.addRows({ rows: named, values: rowsOf(gradient, parameter.shape, named) });
      } else if (values[i] > 0) parameter.gradient.buffer().set(gradient);
      at += parameter.size;
    }
  }
}

function sizeOf(tensors: readonly { readonly data: Values }[]): number {
  return tensors.reduce((sum, { data }) => sum + data.length, 0);
}

/** The rows of a matrix, each of which may have a gradient or none. */
function rowsIn({ shape }: Tensor): number {
  return shape.length === 2 ? shape[0] : 0;
}

function rowsWith(counts: Float32Array): Int32Array {
  const rows: number[] = [];
  for (let row = 0; row < counts.length; row++) if (counts[row] > 0) rows.push(row);
  return Int32Array.from(rows);
}

/** The results of all ranks. JSON has no NaN and no infinity, so these are sent as texts. */
async function exchanged(results: readonly WeightedResult[], ranks: Ranks): Promise<WeightedResult[]> {
  const sent = JSON.stringify(results, (_, value) =>
    typeof value === "number" && !Number.isFinite(value) ? String(value) : value,
  );
  const received = await ranks.texts(sent);
  return received.flatMap((text) =>
    JSON.parse(text, (_, value) => (typeof value === "string" ? Number(value) : value)),
  );
}

/** The loss and the metrics of a batch: means over its samples, and sums. */
function combined(shards: readonly WeightedResult[]): Metrics {
  const sums: Record<string, number> = {};
  for (const { weight, result } of shards) {
    const { loss, metrics, counts } = result;
    for (const [name, value] of Object.entries({ loss, ...metrics })) sums[name] = (sums[name] ?? 0) + weight * value;
    for (const [name, value] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + value;
  }
  return sums;
}
