import { expectElements, expectShape } from "../checks.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { int } from "../tensor/onnx_node.js";
import { currentPrecision } from "../tensor/precision.js";
import { numel } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { deferLinear, type LinearAttributes, rememberProduct } from "./linear_fusion.js";
import { ADD_BIAS, productJs } from "./product.js";
import { RELU } from "./relu.js";
import { reshape } from "./reshape.js";

/** Inputs x, weight [outputs, inputs], and bias if there is one; then ReLU if `relu`. */
export const linearOp = defineOp<LinearAttributes, null>({
  name: "linear",
  forward([x, weight, bias], { relu, bfloat16 = false }) {
    const [rows, inputs] = x.shape;
    const outputs = weight.shape[0];
    expectElements("linear", [rows, outputs]);
    const data = allocate(rows * outputs);
    native.linearForward(x.data, weight.data, bias?.data ?? null, data, rows, inputs, outputs, relu, bfloat16);
    return { data, shape: [rows, outputs], saved: null };
  },
  backward(
    upstream,
    [gradX, gradWeight, gradBias],
    { inputs: [x, weight], attributes: { relu, bfloat16 = false }, output },
  ) {
    const [rows, inputs] = x.shape;
    const outputs = weight.shape[0];
    const grad = relu ? allocate(upstream.length) : upstream;
    if (relu) native.reluBackward(upstream, output, grad);
    const bias = gradBias ?? null;
    native.linearBackward(grad, x.data, weight.data, gradX, gradWeight, bias, rows, inputs, outputs, bfloat16);
  },
  onnx({ inputs, attributes: { relu } }, builder) {
    const gemm = { type: "Gemm", inputs, attributes: [int("transB", 1)] };
    return relu ? { type: "Relu", inputs: [builder.node(gemm)] } : gemm;
  },
  lower: (attributes) => ({ kind: "linear", ...attributes }),
  js({ inputs: [x, weight, bias], shapes: [[rows, inputs], [outputs]], attributes: { relu } }, builder) {
    const { call, transposed } = builder;
    const product = productJs([x, transposed(weight, inputs)], [1, rows, inputs, outputs], builder);
    const y = bias === undefined ? product : call(ADD_BIAS, product, bias);
    return relu ? call(RELU, y) : y;
  },
});

/**
 * x [..., inputs] times weight [outputs, inputs] transposed, plus bias [outputs]. `torch.nn.functional.linear`.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` if x, weight and bias do not fit.
 * @example
 * ```ts
 * F.linear(tensor([[1, 2]]), tensor([[3, 4]]), tensor([5])).toArray(); // [[16]]
 * ```
 */
export function linear(x: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return linearOf(x, weight, bias, false);
}

/** max({@link linear}, 0) as one operation, with the bits of the two: ReLU is in the product's last write. */
export function linearRelu(x: Tensor, weight: Tensor, bias: Tensor | null): Tensor {
  return linearOf(x, weight, bias, true);
}

function linearOf(x: Tensor, weight: Tensor, bias: Tensor | null, relu: boolean): Tensor {
  expectTensor("linear: x", x);
  expectTensor("linear: weight", weight);
  expectShape("linear: weight", weight.shape, [-1, -1]);
  const [outputs, inputs] = weight.shape;
  const lead = x.shape.slice(0, -1);
  expectShape("linear: x", x.shape, x.shape.length === 0 || x.shape.length === 2 ? [-1, inputs] : [...lead, inputs]);
  if (bias !== null) {
    expectTensor("linear: bias", bias);
    expectShape("linear: bias", bias.shape, [outputs]);
  }
  if (lead.length !== 1) {
    return reshape(linearOf(reshape(x, [numel(lead), inputs]), weight, bias, relu), [...lead, outputs]);
  }
  const sources = bias === null ? [x, weight] : [x, weight, bias];
  const attributes = { relu, ...(currentPrecision() === "bfloat16" && { bfloat16: true }) };
  if (relu) return linearOp(sources, attributes);
  return deferLinear(linearOp, sources, attributes) ?? rememberProduct(linearOp(sources, attributes), weight);
}
