import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { JsFunction } from "../tensor/js_form.js";
import { int } from "../tensor/onnx_node.js";
import { axisOrAll } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";
import { transpose } from "./permute.js";
import { reshape } from "./reshape.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** Softmax along an axis, the last one by default. `torch.softmax`. */
    softmax(dim?: number): Tensor;
    /** The logarithm of softmax along an axis, the last one by default. `torch.log_softmax`. */
    logSoftmax(dim?: number): Tensor;
  }
}

const SOFTMAX: JsFunction = {
  name: "softmax",
  source: `
/** exp(x) / sum(exp(x)) of each row of so many columns. */
function softmax(x, columns) {
  const y = new Float32Array(x.length);
  for (let row = 0; row < x.length; row += columns) {
    let largest = -Infinity;
    for (let i = row; i < row + columns; i++) largest = Math.max(largest, x[i]);
    let sum = 0;
    for (let i = row; i < row + columns; i++) sum += y[i] = Math.exp(x[i] - largest);
    for (let i = row; i < row + columns; i++) y[i] /= sum;
  }
  return y;
}`,
};

const LOG_SOFTMAX: JsFunction = {
  name: "logSoftmax",
  source: `
/** The logarithm of softmax of each row of so many columns. */
function logSoftmax(x, columns) {
  const y = new Float32Array(x.length);
  for (let row = 0; row < x.length; row += columns) {
    let largest = -Infinity;
    for (let i = row; i < row + columns; i++) largest = Math.max(largest, x[i]);
    let sum = 0;
    for (let i = row; i < row + columns; i++) sum += Math.exp(x[i] - largest);
    for (let i = row; i < row + columns; i++) y[i] = x[i] - largest - Math.log(sum);
  }
  return y;
}`,
};

const softmaxOp = define("softmax", "Softmax", false);
const logSoftmaxOp = define("logSoftmax", "LogSoftmax", true);

/**
 * Softmax along an axis, the last one by default: exp(x) / sum(exp(x)). `torch.softmax`.
 *
 * @throws DistilleryError `BAD_DTYPE` for what is no tensor, `BAD_ARGUMENT` for an axis that x lacks.
 * @example
 * ```ts
 * F.softmax(tensor([[0, 0]])).toArray(); // [[0.5, 0.5]]
 * ```
 */
export function softmax(x: Tensor, dim = -1): Tensor {
  return alongAxis("softmax", softmaxOp, x, dim);
}

/**
 * The logarithm of softmax along an axis, the last one by default. `torch.log_softmax`.
 *
 * @throws DistilleryError `BAD_DTYPE` for what is no tensor, `BAD_ARGUMENT` for an axis that x lacks.
 * @example
 * ```ts
 * F.logSoftmax(tensor([[0, 0]])).toArray(); // [[-0.6931..., -0.6931...]]
 * ```
 */
export function logSoftmax(x: Tensor, dim = -1): Tensor {
  return alongAxis("logSoftmax", logSoftmaxOp, x, dim);
}

function alongAxis(name: string, op: typeof softmaxOp, x: Tensor, dim: number): Tensor {
  expectTensor(`${name}: x`, x);
  const [axis, last] = [axisOrAll(x.shape, dim), x.shape.length - 1];
  if (axis === null) return reshape(op([reshape(x, [1])], null), []);
  return axis === last ? op([x], null) : transpose(op([transpose(x, axis, last)], null), axis, last);
}

function define(name: string, type: string, log: boolean) {
  return defineOp<null, null>({
    name,
    forward([x]) {
      const data = allocate(x.size);
      const columns = x.shape[x.shape.length - 1];
      native.softmaxForward(x.data, data, columns === 0 ? 0 : x.size / columns, columns, log);
      return { data, shape: x.shape, saved: null };
    },
    backward(grad, [into], { inputs: [x], output }) {
      const columns = x.shape[x.shape.length - 1];
      if (into) native.softmaxBackward(grad, output, into, columns === 0 ? 0 : x.size / columns, columns, log);
    },
    onnx: ({ inputs }) => ({ type, inputs, attributes: [int("axis", -1)] }),
    lower: () => ({ kind: "softmax", log }),
    js: ({ inputs: [x], shape }, { call }) => call(log ? LOG_SOFTMAX : SOFTMAX, x, shape[shape.length - 1]),
  });
}

defineMethods({ softmax, logSoftmax });
