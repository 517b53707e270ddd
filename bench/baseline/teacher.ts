import { type BatchNormLayer, batchNormEval, batchNormLayer, batchNormTrain } from "./batch_norm.js";
import { dropout } from "./dropout.js";
import { type LinearLayer, linearForward, linearLayer } from "./linear.js";
import type { MersenneTwister } from "./rng.js";
import { type Weights, weight } from "./weights.js";

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
