import { argumentError, badArgument, expectInteger, expectList, expectShape, MAX_LENGTH } from "../checks.js";
import { numel } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** The same elements in another shape, one length of which may be -1; shares memory. `torch.reshape`. */
    reshape(shape: readonly number[]): Tensor;
  }
}

/** As {@link reshape}. */
export const reshapeOp = defineOp<{ shape: readonly number[] }, null>({
  name: "reshape",
  view: true,
  passesGradient: true,
  forward: ([{ data }], { shape }) => ({ data, shape, saved: null }),
  backward: (grad, [into]) => into?.set(grad),
  onnx({ inputs, shape }, builder) {
    if (shape.filter((length) => typeof length !== "number").length > 1) {
      throw builder.refusal("reshape() makes more than one length follow the batch");
    }
    const lengths = shape.map((length) => (typeof length === "number" ? length : -1));
    return { type: "Reshape", inputs: [...inputs, builder.integers("shape", lengths)] };
  },
  lower: () => ({ kind: "reshape" }),
  js: ({ inputs: [x] }) => x,
});

/** The same elements in another shape, one length of which may be -1; shares memory. `torch.reshape`. */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  return reshapeOp([x], { shape: inferShape(x, shape) });
}

/** The shape with its length of -1, if there is one, replaced by what the number of elements leaves for it. */
function inferShape(x: Tensor, shape: readonly number[]): readonly number[] {
  expectList("shape", shape, "a list of lengths");
  for (const [i, length] of shape.entries()) expectInteger(`shape[${i}]`, length, -1, MAX_LENGTH);
  const known = numel(shape.filter((length) => length !== -1));
  const free = shape.filter((length) => length === -1).length;
  const inferred = free === 1 && known > 0 ? x.size / known : 0;
  const full = shape.map((length) => (length === -1 ? inferred : length));
  if (free > 1) throw argumentError("shape", "expected -1 at most once");
  if (free === 1 && known === 0) throw badArgument("shape", "no length of 0 beside -1, which could be any", shape);
  if (!Number.isInteger(inferred)) expectShape("reshape: x", x.shape, shape);
  expectShape("reshape: elements", [x.size], [numel(full)]);
  return full;
}

defineMethods({ reshape });
