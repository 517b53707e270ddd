import { native } from "../native.js";
import type { Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";

const fusedLoss = defineOp<{ loss: number; grad: Float32Array }, null>({
  name: "loss",
  forward: (_, { loss }) => ({ data: Float32Array.of(loss), shape: [], saved: null }),
  backward([upstream], [into], { attributes }) {
    if (into) native.affine(attributes.grad, upstream, 0, into);
  },
});

/** A scalar loss whose gradient by its logits is known already: what comes from above only scales it. */
export function lossOutput(loss: number, logits: Tensor, gradOfLogits: Float32Array): Tensor {
  return fusedLoss([logits], { loss, grad: gradOfLogits });
}
