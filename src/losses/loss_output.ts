import { native } from "../native.js";
import { output } from "../tensor/ops.js";
import type { Tensor } from "../tensor/tensor.js";

/** A scalar loss whose gradient by its logits is known already: what comes from above only scales it. */
export function lossOutput(loss: number, logits: Tensor, gradOfLogits: Float32Array): Tensor {
  return output(Float32Array.of(loss), [], [logits], { kind: "loss" }, ([upstream], [into]) => {
    if (into) native.affine(gradOfLogits, upstream as number, 0, into);
  });
}
