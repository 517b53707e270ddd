import { argumentError, expectAtLeast0, expectDimensions, expectOptions, expectShape } from "../checks.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { JsFunction } from "../tensor/js_form.js";
import { float, int, type OnnxBuilder } from "../tensor/onnx_node.js";
import { numel } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { add } from "./binary.js";
import { defineOp } from "./define_op.js";
import type { NormSaved } from "./norm_call.js";
import { reduceNode } from "./sum.js";

interface Attributes {
  readonly normalizedShape: readonly number[];
  readonly eps: number;
}

const LAYER_NORM: JsFunction = {
  name: "layerNorm",
  source: `
/** (x - mean) / sqrt(variance + eps) * weight + bias, by row of so many columns; weight and bias may be null. */
function layerNorm(x, weight, bias, columns, eps) {
  const y = new Float32Array(x.length);
  for (let row = 0; row < x.length; row += columns) {
    let [mean, squares] = [0, 0];
    for (let i = row; i < row + columns; i++) mean += x[i] / columns;
    for (let i = row; i < row + columns; i++) squares += (x[i] - mean) ** 2;
    const scale = 1 / Math.sqrt(squares / columns + eps);
    for (let i = 0; i < columns; i++) {
      const normalized = (x[row + i] - mean) * scale;
      y[row + i] = normalized * (weight === null ? 1 : weight[i]) + (bias === null ? 0 : bias[i]);
    }
  }
  return y;
}`,
};

/** The first operator set with LayerNormalization. */
const LAYER_NORMALIZATION = 17;

/** Inputs x, weight if there is one, and then bias if there is one, both of the normalized shape. */
const layerNormOp = defineOp<Attributes, NormSaved>({
  name: "layerNorm",
  forward([x, weight, bias], { normalizedShape, eps }) {
    const [rows, columns] = matrixOf(x, normalizedShape);
    const [data, mean, invStd] = [allocate(x.size), allocate(rows), allocate(rows)];
    const affine = { weight: weight?.data ?? null, bias: bias?.data ?? null };
    native.layerNormForward({ x: x.data, ...affine, mean, invStd, out: data, rows, columns, eps });
    return { data, shape: x.shape, saved: { mean, invStd } };
  },
  backward(grad, [gradX, gradWeight, gradBias], { inputs: [x, weight], attributes: { normalizedShape }, saved }) {
    const [rows, columns] = matrixOf(x, normalizedShape);
    const { mean, invStd } = saved;
    if (gradX) native.layerNormBackward(grad, x.data, mean, invStd, weight?.data ?? null, gradX, rows, columns);
    if (!gradWeight && !gradBias) return;
    const [ofWeight, ofBias] = [gradWeight ?? allocate(columns), gradBias ?? allocate(columns)];
    native.layerNormAffineBackward(grad, x.data, mean, invStd, ofWeight, ofBias, rows, columns);
  },
  onnx({ inputs, attributes: { normalizedShape, eps } }, builder) {
    if (inputs.length > 1 && builder.opset >= LAYER_NORMALIZATION) {
      const attributes = [int("axis", -normalizedShape.length), float("epsilon", eps)];
      return { type: "LayerNormalization", inputs, attributes };
    }
    const [x, weight, bias] = inputs;
    const normalized = { type: "Div", inputs: centredAndDeviation(x, normalizedShape, eps, builder) };
    if (weight === undefined) return normalized;
    const scaled = { type: "Mul", inputs: [builder.node(normalized), weight] };
    return bias === undefined ? scaled : { type: "Add", inputs: [builder.node(scaled), bias] };
  },
  lower: ({ normalizedShape, eps }) => ({ kind: "layerNorm", columns: numel(normalizedShape), eps }),
  js: ({ inputs: [x, weight = "null", bias = "null"], attributes: { normalizedShape, eps } }, { call }) =>
    call(LAYER_NORM, x, weight, bias, numel(normalizedShape), eps),
});

/** The names of x - mean and of sqrt(variance + eps). */
function centredAndDeviation(x: string, normalizedShape: readonly number[], eps: number, builder: OnnxBuilder) {
  const axes = normalizedShape.map((_, i) => i - normalizedShape.length);
  const mean = (of: string) => builder.node(reduceNode("ReduceMean", of, axes, true, builder));
  const centred = builder.node({ type: "Sub", inputs: [x, mean(x)] });
  const variance = mean(builder.node({ type: "Mul", inputs: [centred, centred] }));
  const sum = builder.node({ type: "Add", inputs: [variance, builder.scalar("eps", eps)] });
  return [centred, builder.node({ type: "Sqrt", inputs: [sum] })];
}

/** The rows and columns of x as a matrix whose rows are normalized. */
function matrixOf(x: Tensor, normalizedShape: readonly number[]): [rows: number, columns: number] {
  return [numel(x.shape.slice(0, x.shape.length - normalizedShape.length)), numel(normalizedShape)];
}

/**
 * Normalizes x [..., ...normalizedShape] over its last axes: (x - mean) / sqrt(variance + eps), the biased variance,
 * times weight and plus bias if they are given, both of `normalizedShape`. Mean and variance are taken in double
 * precision. `torch.nn.functional.layer_norm`.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` if the last axes of x, or weight or bias, have another shape; `BAD_ARGUMENT`
 * for an eps below 0.
 * @example
 * ```ts
 * F.layerNorm(tensor([[1, 3], [2, 6]]), [2]).toArray(); // about [[-1, 1], [-1, 1]]
 * ```
 */
export function layerNorm(
  x: Tensor,
  normalizedShape: readonly number[],
  weight: Tensor | null = null,
  bias: Tensor | null = null,
  options: { eps?: number } = {},
): Tensor {
  expectTensor("layerNorm: x", x);
  const shape = expectDimensions("layerNorm: normalizedShape", normalizedShape);
  if (shape.length === 0) throw argumentError("layerNorm: normalizedShape", "expected at least one length, got []");
  expectShape("layerNorm: last axes of x", x.shape.slice(-shape.length), shape);
  if (weight !== null) expectParameter("layerNorm: weight", weight, shape);
  if (bias !== null) expectParameter("layerNorm: bias", bias, shape);
  expectOptions("layerNorm", options, ["eps"]);
  const { eps = 1e-5 } = options;
  const attributes = { normalizedShape: [...shape], eps: expectAtLeast0("layerNorm: eps", eps) };
  if (weight !== null) return layerNormOp(bias === null ? [x, weight] : [x, weight, bias], attributes);
  const normalized = layerNormOp([x], attributes);
  return bias === null ? normalized : add(normalized, bias);
}

function expectParameter(name: string, parameter: Tensor, shape: readonly number[]): void {
  expectTensor(name, parameter);
  expectShape(name, parameter.shape, shape);
}
