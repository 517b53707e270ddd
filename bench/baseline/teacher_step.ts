import { PlainAdamW } from "./adamw.js";
import { type BatchNormLayer, batchNormTrain } from "./batch_norm.js";
import { type BatchNormGradients, batchNormBackward, batchNormGradients } from "./batch_norm_backward.js";
import { crossEntropy } from "./cross_entropy.js";
import { dropout } from "./dropout.js";
import { clipGradNorm } from "./grad_norm.js";
import { type LinearGradients, type LinearLayer, linearBackward, linearForward, linearGradients } from "./linear.js";
import { MersenneTwister } from "./rng.js";
import { ADAMW, MAX_NORM, type StepNumbers } from "./step.js";
import { DROPOUT, linearOf, normOf } from "./teacher.js";
import type { Weights } from "./weights.js";

interface Block {
  readonly linear: LinearLayer;
  readonly linearGrads: LinearGradients;
  readonly norm: BatchNormLayer;
  readonly normGrads: BatchNormGradients;
  readonly p: number;
  readonly keep: Uint8Array;
  /** After batch norm, ReLU and dropout, [rows, outputs]. */
  readonly out: Float32Array;
}

/** One step of the teacher's training in plain TypeScript: cross-entropy, all gradients, their clipping, AdamW. */
export class PlainTeacherStep {
  /** fc1.weight, fc1.bias, bn1.weight, bn1.bias, and so on. */
  readonly parameters: readonly Float32Array[];
  /** In the order of the parameters. */
  readonly grads: readonly Float32Array[];
  readonly #blocks: readonly Block[];
  readonly #last: LinearLayer;
  readonly #lastGrads: LinearGradients;
  readonly #gradLogits: Float32Array;
  readonly #random: MersenneTwister;
  readonly #optimizer: PlainAdamW;

  /** On the arrays of `weights`, which move, for batches of `rows`; masks come from the stream of `randomState`. */
  constructor(weights: Weights, rows: number, randomState: Uint32Array) {
    this.#blocks = DROPOUT.map((p, i) => blockOf(weights, i, rows, p));
    this.#last = linearOf(weights, 4, rows);
    this.#lastGrads = linearGradients(this.#last, true);
    this.#gradLogits = new Float32Array(this.#last.out.length);
    this.#random = new MersenneTwister(randomState);
    const inOrder = [...this.#blocks.flatMap(({ linear, norm }) => [linear, norm]), this.#last];
    const gradsInOrder = [
      ...this.#blocks.flatMap(({ linearGrads, normGrads }) => [linearGrads, normGrads]),
      this.#lastGrads,
    ];
    this.parameters = inOrder.flatMap(({ weight, bias }) => [weight, bias]);
    this.grads = gradsInOrder.flatMap(({ weight, bias }) => [weight, bias]);
    this.#optimizer = new PlainAdamW(this.parameters);
  }

  /** Trains on inputs [rows, features] and labels [rows] with what the schedule says; gives the loss from before. */
  run(inputs: Float32Array, labels: Int32Array, { lr, beta1 }: StepNumbers): number {
    const loss = crossEntropy(this.#forward(inputs), labels, this.#gradLogits);
    this.#backward(inputs);
    clipGradNorm(this.grads, MAX_NORM);
    this.#optimizer.step(this.grads, { ...ADAMW, lr, beta1 });
    return loss;
  }

  #forward(x: Float32Array): Float32Array {
    let value = x;
    for (const { linear, norm, p, keep, out } of this.#blocks) {
      batchNormTrain(norm, linearForward(linear, value, false), out, linear.rows);
      dropout(out, p, this.#random, keep);
      value = out;
    }
    return linearForward(this.#last, value, false);
  }

  #backward(x: Float32Array): void {
    const blocks = this.#blocks;
    linearBackward(this.#last, this.#lastGrads, (blocks.at(-1) as Block).out, this.#gradLogits);
    let grad = this.#lastGrads.input;
    for (let i = blocks.length - 1; i >= 0 && grad !== null; i--) {
      const { linear, linearGrads, norm, normGrads, p, out } = blocks[i];
      dropoutReluBackward(grad, out, p);
      batchNormBackward(norm, normGrads, linear.out, grad, grad, linear.rows);
      linearBackward(linear, linearGrads, i === 0 ? x : blocks[i - 1].out, grad);
      grad = linearGrads.input;
    }
  }
}

function blockOf(weights: Weights, i: number, rows: number, p: number): Block {
  const [linear, norm] = [linearOf(weights, i + 1, rows), normOf(weights, i + 1)];
  const size = linear.out.length;
  return {
    linear,
    linearGrads: linearGradients(linear, i > 0),
    norm,
    normGrads: batchNormGradients(norm),
    p,
    keep: new Uint8Array(size),
    out: new Float32Array(size),
  };
}

/** The gradient, in place, through dropout and ReLU at once: `out` is above zero where both let the value pass. */
function dropoutReluBackward(grad: Float32Array, out: Float32Array, p: number): void {
  const scale = 1 / (1 - p);
  for (let i = 0; i < grad.length; i++) grad[i] = out[i] > 0 ? grad[i] * scale : 0;
}
