import { DistilleryError } from "../errors.js";
import { linearOp } from "../ops/linear.js";
import { rowOf } from "../slices.js";
import { fromFloat16, toFloat16 } from "../tensor/float16.js";
import { type Constant, type Graph, rewrite, type Value } from "./graph.js";

/** The types in which an exported network can store weights, instead of single precision. */
export const WEIGHT_TYPES = ["int8", "float16"] as const;
export type WeightType = (typeof WEIGHT_TYPES)[number];

/**
 * Quantizes the weights of matrix products, convolutions and embeddings: to the nearest float16, or symmetrically to 8
 * bits with one scale for each output, q = round(w / scale), scale = max|w| / largest. Biases and activations stay in
 * single precision, so that a sample's logits do not depend on other samples.
 *
 * @throws DistilleryError `NON_FINITE` for a weight beyond float16's 65504.
 */
export function quantizeWeights(graph: Graph, type: WeightType, largest = 127): Graph {
  const quantize = (weight: Constant) => (type === "int8" ? toInt8(weight, largest) : toHalf(weight));
  /** One quantized constant for each weight, so that a table that is also an output layer is stored once. */
  const [byRows, transposed] = [new Map<Value, Constant>(), new Map<Value, Constant>()];
  return rewrite(graph, (node) => {
    const op = node.op.name;
    const [x, weight, ...bias] = node.inputs;
    const isTransposed = op === "matmul";
    if (!(BY_ROWS.has(op) || isTransposed) || weight.kind !== "constant") return node;
    if ((op === "linear" || isTransposed) && weight.shape.length !== 2) return node;
    const done = isTransposed ? transposed : byRows;
    const weights = done.get(weight) ?? quantize(isTransposed ? transpose(weight) : weight);
    done.set(weight, weights);
    const inputs = [x, weights, ...bias];
    // Always the linear form: in the other one ONNX Runtime rounds the activations to 8 bits as well.
    return isTransposed ? { ...node, op: linearOp.op, attributes: { relu: false }, inputs } : { ...node, inputs };
  });
}

/** The operations whose weight, as it is, has a scale for each of its first axis: kernels, rows of a table, outputs. */
const BY_ROWS: ReadonlySet<string> = new Set(["conv2d", "embedding", "embeddingBag", "linear"]);

/** A weight [outputs, ...] in 8 bits. */
function toInt8(weight: Constant, largest: number): Constant {
  const [rows] = weight.shape;
  const columns = weight.data.length / rows;
  const scales = new Float32Array(rows);
  const values = new Int8Array(rows * columns);
  const data = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const weights = rowOf(weight.data, row, columns);
    const most = weights.reduce((most, w) => Math.max(most, Math.abs(w)), 0);
    // If all weights are 0, or so small that the scale would round to 0, any scale will do.
    const scale = Math.fround(most / largest) || 1;
    scales[row] = scale;
    for (let i = 0; i < columns; i++) {
      const at = row * columns + i;
      values[at] = Math.min(Math.max(Math.round(weights[i] / scale), -largest), largest);
      data[at] = values[at] * scale;
    }
  }
  return { ...weight, data, quantized: { values, scales } };
}

/** A weight as the nearest float16 numbers. */
function toHalf(weight: Constant): Constant {
  const half = toFloat16(weight.data);
  const data = fromFloat16(half);
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return { ...weight, data, half };
  const text = `${weight.name}: expected values that float16 has, up to 65504, got ${weight.data[at]} at ${at}`;
  throw new DistilleryError("NON_FINITE", text);
}

function transpose({ name, data, shape }: Constant): Constant {
  const [rows, columns] = shape;
  const transposed = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) transposed[(i % columns) * rows + Math.floor(i / columns)] = data[i];
  return { kind: "constant", name, data: transposed, shape: [columns, rows] };
}
