import { type BatchNormLayer, batchNormLayer, batchNormTrain } from "./batch_norm.js";
import { dropout } from "./dropout.js";
import { type LinearLayer, linearForward, linearLayer } from "./linear.js";
import type { MersenneTwister } from "./rng.js";
import { type Weights, weight } from "./weights.js";

interface Block {
  readonly linear: LinearLayer;
  readonly norm: BatchNormLayer;
  readonly p: number;
  /** Which elements the last step kept, [rows, outputs]. */
  readonly keep: Uint8Array;
}

/** The script's teacher in train mode, without gradients: three of linear, batch norm, ReLU and dropout, then linear. */
export class PlainTeacher {
  readonly #blocks: readonly Block[];
  readonly #last: LinearLayer;
  readonly #random: MersenneTwister;

  /** On the arrays of `weights`, whose running statistics move, for batches of `rows`; masks come from `random`. */
  constructor(weights: Weights, rows: number, random: MersenneTwister) {
    const linear = (i: number) => linearLayer(weight(weights, `fc${i}.weight`), weight(weights, `fc${i}.bias`), rows);
    this.#blocks = [0.3, 0.3, 0.2].map((p, i) => {
      const layer = linear(i + 1);
      return { linear: layer, norm: normOf(weights, `bn${i + 1}`), p, keep: new Uint8Array(layer.out.length) };
    });
    this.#last = linear(4);
    this.#random = random;
  }

  /** x [rows, inputs] to logits [rows, classes], in memory that the next call uses again. */
  forward(x: Float32Array): Float32Array {
    let value = x;
    for (const { linear, norm, p, keep } of this.#blocks) {
      value = linearForward(linear, value, false);
      batchNormTrain(norm, value, value, linear.rows);
      dropout(value, p, this.#random, keep);
    }
    return linearForward(this.#last, value, false);
  }
}

function normOf(weights: Weights, name: string): BatchNormLayer {
  const [gamma, beta] = [weight(weights, `${name}.weight`), weight(weights, `${name}.bias`)];
  return batchNormLayer(gamma, beta, weight(weights, `${name}.running_mean`), weight(weights, `${name}.running_var`));
}
