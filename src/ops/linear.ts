import { expectElements, expectShape } from "../checks.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { type JsFunction, PANEL } from "../tensor/js_form.js";
import { int } from "../tensor/onnx_node.js";
import { currentPrecision } from "../tensor/precision.js";
import { numel } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";
import { deferLinear, type LinearAttributes, rememberProduct } from "./linear_fusion.js";
import { RELU } from "./relu.js";
import { reshape } from "./reshape.js";

/** The variables of a module that sum a panel's outputs. */
const SUMS = Array.from({ length: PANEL }, (_, i) => String.fromCharCode(97 + i));

const LINEAR: JsFunction = {
  name: "linear",
  source: `
/**
 * Each row of x [rows, inputs] times weight [outputs, inputs] transposed, plus bias. The weight lies by panels of
 * ${PANEL} outputs, side by side for each input, so that memory is read in order; the last outputs may be fewer.
 */
function linear(x, weight, bias, inputs) {
  const rows = x.length / inputs;
  const outputs = weight.length / inputs;
  const y = new Float32Array(rows * outputs);
  const [at, values] = [new Int32Array(inputs), new Float32Array(inputs)];
  for (let row = 0; row < rows; row++) {
    // What is 0, as half of the outputs of ReLU are, is left out.
    let count = 0;
    for (let i = 0; i < inputs; i++) {
      const v = x[row * inputs + i];
      if (v === 0) continue;
      at[count] = ${PANEL} * i;
      values[count++] = v;
    }
    // ${PANEL} outputs at a time: each input is read once for all of them.
    let o = 0;
    if (weight.product !== undefined) {
      const sums = weight.product(x.subarray(row * inputs, (row + 1) * inputs));
      y.set(sums, row * outputs);
      o = sums.length;
    }
    for (; o + ${PANEL} <= outputs; o += ${PANEL}) {
      let ${SUMS.map((sum) => `${sum} = 0`).join(", ")};
      for (let i = 0; i < count; i++) {
        const v = values[i];
        const w = o * inputs + at[i];
${SUMS.map((sum, i) => `        ${sum} += v * weight[${i === 0 ? "w" : `w + ${i}`}];`).join("\n")}
      }
      y.set([${SUMS.join(", ")}], row * outputs + o);
    }
    for (let rest = outputs - o, j = 0; j < rest; j++) {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += values[i] * weight[o * inputs + rest * (at[i] >> ${Math.log2(PANEL)}) + j];
      y[row * outputs + o + j] = sum;
    }
    if (bias !== null) for (let i = 0; i < outputs; i++) y[row * outputs + i] += bias[i];
  }
  return y;
}`,
};

/** Inputs x, weight [outputs, inputs], and bias if there is one; then ReLU if it was fused with it. */
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
  js({ inputs: [x, weight, bias = "null"], shapes: [[, inputs]], attributes: { relu } }, { call, panels }) {
    const y = call(LINEAR, x, panels(weight, inputs), bias, inputs);
    return relu ? call(RELU, y) : y;
  },
});

/**
 * x [..., inputs] times weight [outputs, inputs] transposed, plus bias [outputs]. `torch.nn.functional.linear`.
 *
 * @example
 * ```ts
 * F.linear(tensor([[1, 2]]), tensor([[3, 4]]), tensor([5])).toArray(); // [[16]]
 * ```
 */
export function linear(x: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
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
    return reshape(linear(reshape(x, [numel(lead), inputs]), weight, bias), [...lead, outputs]);
  }
  const sources = bias === null ? [x, weight] : [x, weight, bias];
  const attributes = { relu: false, ...(currentPrecision() === "bfloat16" && { bfloat16: true }) };
  return deferLinear(linearOp, sources, attributes) ?? rememberProduct(linearOp(sources, attributes), weight);
}
