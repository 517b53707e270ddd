import type { Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The same memory outside of the tape. `torch.Tensor.detach`. */
    detach(): Tensor;
  }
}

export const detachOp = defineOp<null, null>({
  name: "detach",
  view: true,
  forward: ([{ data, shape }]) => ({ data, shape, saved: null }),
  onnx: "Identity",
  js: ({ inputs: [x] }) => x,
});

/** The same memory outside of the tape. `torch.Tensor.detach`. */
export function detach(x: Tensor): Tensor {
  return detachOp([x], null);
}

defineMethods({ detach });
