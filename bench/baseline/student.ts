import {
  type LinearGradients,
  type LinearLayer,
  linearBackward,
  linearForward,
  linearGradients,
  linearLayer,
  reluBackward,
} from "./linear.js";
import { type Weights, weight } from "./weights.js";

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
