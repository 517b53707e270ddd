import { matmul, matmulNt, matmulTn } from "./matmul.js";

/** A fully connected layer with its output, its gradients and scratch memory for `rows` rows, all allocated once. */
export interface LinearLayer {
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
  /** [outputs, inputs] */
  readonly weight: Float32Array;
  /** [outputs] */
  readonly bias: Float32Array;
  /** [rows, outputs] */
  readonly out: Float32Array;
}

/** What a layer needs to be trained. */
export interface LinearGradients {
  /** [outputs, inputs] */
  readonly weight: Float32Array;
  /** [outputs] */
  readonly bias: Float32Array;
  /** Of the layer's input, [rows, inputs]; null if it is not needed. */
  readonly input: Float32Array | null;
  /** Transposes: of the weight, of the gradient and of the input. */
  readonly scratch: { weight: Float32Array; grad: Float32Array; input: Float32Array };
}

/** A layer on a weight [outputs, inputs] and a bias [outputs], whose arrays it keeps. */
export function linearLayer(weight: Float32Array, bias: Float32Array, rows: number): LinearLayer {
  const [outputs, inputs] = [bias.length, weight.length / bias.length];
  return { rows, inputs, outputs, weight, bias, out: new Float32Array(rows * outputs) };
}

/** Memory for a layer's gradients; `withInput` if the input's is needed too. */
export function linearGradients({ rows, inputs, outputs }: LinearLayer, withInput: boolean): LinearGradients {
  return {
    weight: new Float32Array(outputs * inputs),
    bias: new Float32Array(outputs),
    input: withInput ? new Float32Array(rows * inputs) : null,
    scratch: {
      weight: new Float32Array(withInput ? outputs * inputs : 0),
      grad: new Float32Array(rows * outputs),
      input: new Float32Array(rows * inputs),
    },
  };
}

/** out[rows, outputs] = x[rows, inputs] weight^T + bias, then ReLU if `relu`. Returns `layer.out`. */
export function linearForward(layer: LinearLayer, x: Float32Array, relu: boolean): Float32Array {
  const { rows, inputs, outputs, weight, bias, out } = layer;
  matmulNt(x, weight, out, rows, inputs, outputs);
  for (let i = 0; i < rows; i++) {
    const at = i * outputs;
    for (let j = 0; j < outputs; j++) {
      const y = out[at + j] + bias[j];
      out[at + j] = relu && y < 0 ? 0 : y;
    }
  }
  return out;
}

/** The gradients of weight, bias and, if there is memory for it, input, from `grad` [rows, outputs] and x. */
export function linearBackward(layer: LinearLayer, grads: LinearGradients, x: Float32Array, grad: Float32Array): void {
  const { rows, inputs, outputs, weight } = layer;
  const { scratch } = grads;
  matmulTn(grad, x, grads.weight, outputs, rows, inputs, scratch.grad, scratch.input);
  biasGradient(grad, grads.bias, rows, outputs);
  if (grads.input !== null) matmul(grad, weight, grads.input, rows, outputs, inputs, scratch.weight);
}

function biasGradient(grad: Float32Array, out: Float32Array, rows: number, outputs: number): void {
  out.fill(0);
  for (let i = 0; i < rows; i++) {
    const at = i * outputs;
    for (let j = 0; j < outputs; j++) out[j] += grad[at + j];
  }
}

/** Zeroes the gradient, in place, if ReLU's output y is zero. */
export function reluBackward(grad: Float32Array, y: Float32Array): void {
  for (let i = 0; i < grad.length; i++) if (y[i] <= 0) grad[i] = 0;
}
