import { types } from "node:util";
import { badArgument, expectFlags, expectFraction, optionsOf } from "../checks.js";
import { native } from "../native.js";
import { expectModule } from "../nn/expect_module.js";
import type { Module } from "../nn/module.js";
import { loadInto, type StateDict } from "../nn/state_dict.js";
import { LongTensor, tensorOf } from "../tensor/int_tensor.js";
import { Tensor } from "../tensor/tensor.js";

/** The options of {@link ExponentialMovingAverage}. */
export interface ExponentialMovingAverageOptions {
  /** The fraction of the average that remains in each update; default 0.999. */
  decay?: number;
  /** Whether buffers, such as running statistics, are averaged too and not copied; default false. */
  useBuffers?: boolean;
}

const DEFAULTS = { decay: 0.999, useBuffers: false } as const;

/**
 * An exponential moving average of a network's weights: `torch.optim.swa_utils.AveragedModel` with
 * `get_ema_multi_avg_fn(decay)`. The first update takes the weights as they are.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for options that are unknown or out of range.
 * @example
 * ```ts
 * const average = new ExponentialMovingAverage(student, { decay: 0.999 });
 * for (const batch of batches) {
 *   // ... backward
 *   optimizer.step();
 *   average.update();
 * }
 * await average.withWeights(async () => evaluate(student, test)); // with the averaged weights
 * await save(average.modelState(), "student_ema.safetensors");
 * ```
 */
export class ExponentialMovingAverage {
  readonly decay: number;
  readonly useBuffers: boolean;
  readonly #model: Module;
  readonly #averages: StateDict;
  /** Each average once: a shared tensor has one under all of its keys. */
  readonly #distinct: StateDict = {};
  /** For each entry of `swap`: the same memory, as the entries are exchanged one after the other. */
  #scratch: Record<string, StateDict[string]["data"]> | null = null;
  readonly #updates = new LongTensor(new BigInt64Array(1), []);

  constructor(model: Module, options: ExponentialMovingAverageOptions = {}) {
    expectModule("model", model);
    const { decay, useBuffers } = optionsOf("options", DEFAULTS, options);
    this.decay = expectDecay(decay);
    expectFlags({ useBuffers });
    this.useBuffers = useBuffers;
    this.#model = model;
    const averages = new Map<StateDict[string], StateDict[string]>();
    this.#averages = {};
    for (const [key, tensor] of Object.entries(model.stateDict())) {
      const average = averages.get(tensor) ?? tensorOf(tensor.data.slice(), tensor.shape);
      if (!averages.has(tensor)) this.#distinct[key] = average;
      averages.set(tensor, average);
      this.#averages[key] = average;
    }
  }

  /** How often it was updated. */
  get updates(): number {
    return Number(this.#updates.data[0]);
  }

  /** Moves the averages toward the weights as they are now, by a decay: after each step of the optimizer. */
  update(decay = this.decay): void {
    expectDecay(decay);
    const state = this.#model.stateDict();
    const buffers = new Set<StateDict[string]>(this.#model.namedBuffers().map(([, buffer]) => buffer));
    const isFirst = this.#updates.data[0] === 0n;
    const averaged: [average: Float32Array, value: Float32Array][] = [];
    for (const [key, average] of Object.entries(this.#distinct)) {
      const value = state[key].data;
      if (isFirst || (buffers.has(state[key]) && !this.useBuffers)) average.data.set(value as never);
      else if (average instanceof Tensor) averaged.push([average.data, value as Float32Array]);
      else if (average instanceof LongTensor) moveCounts(average.data, value as BigInt64Array, decay, BigInt);
      else moveCounts(average.data as Int32Array, value as Int32Array, decay, Number);
    }
    native.movingAverage(
      averaged.map(([average]) => average),
      averaged.map(([, value]) => value),
      decay,
    );
    this.#updates.data[0] += 1n;
  }

  /** The averaged weights under the network's own keys; the memory is that of the averages. */
  modelState(): StateDict {
    return { ...this.#averages };
  }

  /** Exchanges the network's weights and the averages; a second call puts them back. */
  swap(): void {
    const state = this.#model.stateDict();
    this.#scratch ??= scratchFor(this.#distinct);
    const scratch = this.#scratch;
    for (const [key, average] of Object.entries(this.#distinct)) {
      scratch[key].set(state[key].data as never);
      state[key].data.set(average.data as never);
      if (state[key] instanceof Tensor) state[key].noteChange();
      average.data.set(scratch[key] as never);
    }
  }

  /** What `body` gives with the averaged weights in the network, which has its own again afterwards. */
  async withWeights<T>(body: () => T | Promise<T>): Promise<T> {
    if (typeof body !== "function") throw badArgument("body", "a function", body);
    this.swap();
    try {
      return await body();
    } finally {
      this.swap();
    }
  }

  /**
   * The averages and the number of updates with the keys of PyTorch's AveragedModel: `n_averaged`, `module.fc1.weight`.
   */
  stateDict(): StateDict {
    const averages = Object.entries(this.#averages).map(([key, value]) => [`module.${key}`, value]);
    return { n_averaged: this.#updates, ...Object.fromEntries(averages) };
  }

  /**
   * Takes over a state dict, of this class or of PyTorch's AveragedModel, all or nothing.
   *
   * @throws DistilleryError `STATE_DICT_MISMATCH` for one of another network.
   */
  loadStateDict(state: StateDict): this {
    loadInto("ExponentialMovingAverage", this.stateDict(), state, true);
    return this;
  }
}

function expectDecay(decay: number): number {
  return expectFraction("decay", decay);
}

/** An array for each entry, all in the memory of the largest. */
function scratchFor(state: StateDict): Record<string, StateDict[string]["data"]> {
  const memory = new ArrayBuffer(Math.max(0, ...Object.values(state).map(({ data }) => data.byteLength)));
  const arrays = Object.entries(state).map(([key, { data }]): [string, StateDict[string]["data"]] => {
    if (types.isFloat32Array(data)) return [key, new Float32Array(memory, 0, data.length)];
    return [
      key,
      types.isBigInt64Array(data) ? new BigInt64Array(memory, 0, data.length) : new Int32Array(memory, 0, data.length),
    ];
  });
  return Object.fromEntries(arrays);
}

/** Counters, such as of batches, in PyTorch's arithmetic: the mean without its fraction. */
function moveCounts<N extends number | bigint>(
  averages: { [i: number]: N },
  values: ArrayLike<N>,
  decay: number,
  toCount: (x: number) => N,
): void {
  for (let i = 0; i < values.length; i++) {
    averages[i] = toCount(Math.trunc(Number(averages[i]) * decay + Number(values[i]) * (1 - decay)));
  }
}
