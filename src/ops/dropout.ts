import { expectFlags, expectNumber } from "../checks.js";
import { native } from "../native.js";
import { allocate, allocateBytes } from "../tensor/buffer_pool.js";
import { currentGenerator } from "../tensor/random.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { endByDropout, extendByDropout } from "./linear_fusion.js";

const dropoutOp = defineOp<{ p: number }, Uint8Array>({
  name: "dropout",
  random: true,
  forward([x], { p }) {
    const [data, mask] = [allocate(x.size), allocateBytes(x.size)];
    native.dropoutForward(x.data, p, currentGenerator().state, mask, data);
    return { data, shape: x.shape, saved: mask };
  },
  backward(grad, [into], { attributes: { p }, saved: mask }) {
    if (into) native.dropoutBackward(grad, p, mask, into);
  },
  onnx(_, builder) {
    throw builder.refusal("dropout with training: true is random");
  },
  js(_, builder) {
    throw builder.refusal("dropout with training: true is random");
  },
  lower: ({ p }) => ({ kind: "dropout", p }),
});

/**
 * Zeroes each element with probability p and divides the others by 1 - p; gives x itself if not training or p is 0.
 * Draws 64 bits an element, row by row. `torch.nn.functional.dropout`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `BAD_ARGUMENT` for a probability that is not from 0 to 1.
 * @example
 * ```ts
 * const hidden = F.dropout(x, 0.2, true); // in eval mode false
 * ```
 */
export function dropout(x: Tensor, p = 0.5, training = true): Tensor {
  expectTensor("dropout: x", x);
  expectNumber("p", p, (p) => p >= 0 && p <= 1, "a chance from 0 to 1");
  expectFlags({ training });
  if (training && p > 0) return extendByDropout(dropoutOp, x, p) ?? dropoutOp([x], { p });
  endByDropout(x);
  return x;
}
