import { expectElements, expectList, showValue } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { int, type OnnxBuilder } from "../tensor/onnx_node.js";
import { numel } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { broadcastJs, expandedStrides, writeSummed } from "./broadcast.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** Repeated along axes of length 1; -1 keeps a length. `torch.Tensor.expand`. */
    expand(shape: readonly number[]): Tensor;
  }
}

/** `ofBatch` in a graph: x is the same for every batch, and repeated over its rows. */
export const expandOp = defineOp<{ shape: readonly number[]; ofBatch?: boolean }, null>({
  name: "expand",
  forward([x], { shape }) {
    const data = allocate(numel(shape));
    native.stridedCopy(x.data, [...shape], expandedStrides(x.shape, shape), 0, data);
    return { data, shape, saved: null };
  },
  backward(grad, [into], { inputs: [x], attributes: { shape } }) {
    writeSummed(into, x.shape, shape, grad);
  },
  onnx({ inputs, attributes: { ofBatch = false }, shape }, builder) {
    const lengths = shape.map((length) => {
      // ONNX broadcasts both ways: 1 keeps the length of x.
      if (length === "batch") return 1;
      if (length === null) throw builder.refusal("expand() makes a length follow the batch");
      return length;
    });
    const wide = ofBatch ? rowsOnly(shape, builder) : builder.integers("shape", lengths);
    return { type: "Expand", inputs: [...inputs, wide] };
  },
  lower: () => ({ kind: "expand" }),
  js: ({ inputs: [x], shapes: [from], shape }, builder) => broadcastJs(x, from, shape, builder),
});

/** The rows of the batch where the shape has them, and 1, which keeps a length, elsewhere. */
function rowsOnly(shape: readonly unknown[], builder: OnnxBuilder): string {
  const inputs = shape.map((length) => (length === "batch" ? builder.rows() : builder.integers("length", [1])));
  return builder.node({ type: "Concat", inputs, attributes: [int("axis", 0)] });
}

/**
 * x repeated along its axes of length 1, and along new axes in front; -1 keeps a length. A copy. `torch.Tensor.expand`.
 */
export function expand(x: Tensor, shape: readonly number[]): Tensor {
  expectTensor("expand: x", x);
  expectList("expand: shape", shape);
  const lead = shape.length - x.shape.length;
  const full = shape.map((length, axis) => (length === -1 ? x.shape[axis - lead] : length));
  const fits = lead >= 0 && x.shape.every((length, axis) => length === 1 || length === full[axis + lead]);
  if (!fits || full.some((length) => !Number.isInteger(length) || length < 0)) {
    const text = `expand: shape: expected one that [${x.shape.join(", ")}] broadcasts to, got ${showValue(shape)}`;
    throw new DistilleryError("SHAPE_MISMATCH", text);
  }
  expectElements("expand: shape", full);
  return expandOp([x], { shape: full });
}

defineMethods({ expand });
