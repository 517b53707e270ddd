import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { int } from "../tensor/onnx_node.js";
import { axisOf } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** Softmax over the last axis. `torch.softmax`. */
    softmax(dim?: number): Tensor;
    /** The logarithm of softmax over the last axis. `torch.log_softmax`. */
    logSoftmax(dim?: number): Tensor;
  }
}

const softmaxOp = define("softmax", "Softmax", false);
const logSoftmaxOp = define("logSoftmax", "LogSoftmax", true);

/** Softmax over the last axis: exp(x) / sum(exp(x)). `torch.softmax`. */
export function softmax(x: Tensor, dim = -1): Tensor {
  return softmaxOp([lastAxis(x, dim)], null);
}

/** The logarithm of softmax over the last axis. `torch.log_softmax`. */
export function logSoftmax(x: Tensor, dim = -1): Tensor {
  return logSoftmaxOp([lastAxis(x, dim)], null);
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
  });
}

function lastAxis(x: Tensor, dim: number): Tensor {
  expectTensor("x", x);
  const last = x.shape.length - 1;
  if (axisOf(x.shape, dim) === last) return x;
  throw new DistilleryError("BAD_ARGUMENT", `dim: expected the last axis (-1 or ${last}), got ${dim}`);
}

defineMethods({ softmax, logSoftmax });
