import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { unread } from "../tensor/reads.js";
import type { Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";

const fusedLoss = defineOp<{ loss: number; grad: Float32Array }, null>({
  name: "loss",
  forward: (_, { loss }) => ({ data: Float32Array.of(loss), shape: [], saved: null }),
  backward([upstream], [into], { attributes }) {
    if (into) native.affine(attributes.grad, upstream, -0, into);
  },
});

/**
 * A scalar loss that `compute` takes from the logits' values, and with it its gradient by them: the gradient from above
 * only scales it. As in any operation, no reader is told of what `compute` reads.
 */
export function lossOutput(logits: Tensor, compute: (data: Float32Array, grad: Float32Array) => number): Tensor {
  const grad = allocate(logits.size);
  const loss = unread(() => compute(logits.data, grad));
  return fusedLoss([logits], { loss, grad });
}
