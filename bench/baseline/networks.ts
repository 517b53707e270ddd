import type { Module } from "distillery";
import { type BatchNormLayer, batchNormEval, batchNormLayer, batchNormTrain } from "./batch_norm.js";
import {
  type LinearGradients,
  type LinearLayer,
  linearBackward,
  linearForward,
  linearGradients,
  linearLayer,
  reluBackward,
} from "./linear.js";
import { dropout, type MersenneTwister } from "./random.js";

/** A network's values under PyTorch's keys, such as `fc1.weight` and `bn1.running_mean`. */
export type Weights = Readonly<Record<string, Float32Array>>;

/** The values under a key; throws if there are none. */
export function weight(weights: Weights, key: string): Float32Array {
  const values = weights[key];
  if (values === undefined) throw new Error(`weights: expected the key ${key}, got ${Object.keys(weights).join(", ")}`);
  return values;
}

/** A copy of a module's parameters and running statistics, for the plain implementation to start from. */
export function copyWeights(module: Module): Weights {
  const entries = Object.entries(module.stateDict());
  return Object.fromEntries(
    entries.flatMap(([key, tensor]) => (tensor.dtype === "float32" ? [[key, tensor.data.slice()]] : [])),
  );
}

/** The script's student: three linear layers with ReLU between them, and their gradients. */
export class PlainStudent {
  /** fc1.weight, fc1.bias, fc2.weight and so on. */
  readonly parameters: readonly Float32Array[];
  /** What {@link PlainStudent.backward} wrote, in the order of the parameters. */
  readonly grads: readonly Float32Array[];
  readonly #layers: readonly LinearLayer[];
  readonly #gradients: readonly LinearGradients[];

  /** On the arrays of `weights`, for batches of `rows`. */
  constructor(weights: Weights, rows: number) {
    this.#layers = ["fc1", "fc2", "fc3"].map((name) =>
      linearLayer(weight(weights, `${name}.weight`), weight(weights, `${name}.bias`), rows),
    );
    this.#gradients = this.#layers.map((layer, i) => linearGradients(layer, i > 0));
    this.parameters = this.#layers.flatMap(({ weight, bias }) => [weight, bias]);
    this.grads = this.#gradients.flatMap(({ weight, bias }) => [weight, bias]);
  }

  /** x [rows, inputs] to logits [rows, classes], in memory that the next call uses again. */
  forward(x: Float32Array): Float32Array {
    const last = this.#layers.length - 1;
    return this.#layers.reduce((value, layer, i) => linearForward(layer, value, i < last), x);
  }

  /** The gradients of all parameters, from that of the logits that `forward(x)` gave. */
  backward(x: Float32Array, gradLogits: Float32Array): void {
    let grad = gradLogits;
    for (let i = this.#layers.length - 1; i >= 0; i--) {
      const input = i === 0 ? x : this.#layers[i - 1].out;
      linearBackward(this.#layers[i], this.#gradients[i], input, grad);
      const below = this.#gradients[i].input;
      if (below === null) return;
      reluBackward(below, input);
      grad = below;
    }
  }
}

/** The chances of the teacher's three dropout layers. */
export const DROPOUT = [0.3, 0.3, 0.2] as const;

interface Block {
  readonly linear: LinearLayer;
  readonly norm: BatchNormLayer;
  readonly p: number;
  /** Which elements the last step kept, [rows, outputs]. */
  readonly keep: Uint8Array;
}

/** The script's teacher without gradients: three of linear, batch norm, ReLU and dropout, then linear. */
export class PlainTeacher {
  readonly #blocks: readonly Block[];
  readonly #last: LinearLayer;
  readonly #random: MersenneTwister;

  /** On the arrays of `weights`, whose running statistics move, for batches of `rows`; masks come from `random`. */
  constructor(weights: Weights, rows: number, random: MersenneTwister) {
    this.#blocks = DROPOUT.map((p, i) => {
      const linear = linearOf(weights, i + 1, rows);
      return { linear, norm: normOf(weights, i + 1), p, keep: new Uint8Array(linear.out.length) };
    });
    this.#last = linearOf(weights, 4, rows);
    this.#random = random;
  }

  /** x [rows, inputs] to logits [rows, classes] in train mode, in memory that the next call uses again. */
  forward(x: Float32Array): Float32Array {
    let value = x;
    for (const { linear, norm, p, keep } of this.#blocks) {
      value = linearForward(linear, value, false);
      batchNormTrain(norm, value, value, linear.rows);
      dropout(value, p, this.#random, keep);
    }
    return linearForward(this.#last, value, false);
  }

  /** The same in eval mode: by the running statistics, without dropout. */
  forwardEval(x: Float32Array): Float32Array {
    let value = x;
    for (const { linear, norm } of this.#blocks) {
      value = linearForward(linear, value, false);
      batchNormEval(norm, value, value, linear.rows);
    }
    return linearForward(this.#last, value, false);
  }
}

/** The teacher's layer `fc1` to `fc4`. */
export function linearOf(weights: Weights, i: number, rows: number): LinearLayer {
  return linearLayer(weight(weights, `fc${i}.weight`), weight(weights, `fc${i}.bias`), rows);
}

/** The teacher's layer `bn1` to `bn3`. */
export function normOf(weights: Weights, i: number): BatchNormLayer {
  const [gamma, beta] = [weight(weights, `bn${i}.weight`), weight(weights, `bn${i}.bias`)];
  return batchNormLayer(gamma, beta, weight(weights, `bn${i}.running_mean`), weight(weights, `bn${i}.running_var`));
}
