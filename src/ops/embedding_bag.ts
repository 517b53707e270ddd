import {
  argumentError,
  badArgument,
  badDtype,
  expectElements,
  expectFlags,
  expectInteger,
  expectOneOf,
  expectOptions,
  expectShape,
} from "../checks.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import { IntTensor } from "../tensor/int_tensor.js";
import type { JsFunction } from "../tensor/js_form.js";
import { DATA_TYPE, int } from "../tensor/onnx_node.js";
import type { GradRows } from "../tensor/op.js";
import { expectTensor, Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";
import { defineOp } from "./define_op.js";

const MODES = ["sum", "mean"] as const;

/** The options of {@link embeddingBag}, with PyTorch's names and defaults. */
export interface EmbeddingBagOptions {
  /** Whether the rows of a bag are added or averaged; default `mean`. */
  mode?: (typeof MODES)[number];
  /** The id of padding: it is left out, also of the number of rows of a mean. Default: none. */
  paddingIdx?: number | null;
  /** [bags, length]: what each row is multiplied by; with `mode` `sum` alone. */
  perSampleWeights?: Tensor | null;
  /**
   * Whether the gradient of the table holds the rows of the batch alone, and an optimizer moves these alone. Default
   * false: as in PyTorch all rows decay and follow their averages at each step.
   */
  sparse?: boolean;
}

interface Attributes {
  readonly mean: boolean;
  /** -1: none. */
  readonly padding: number;
  readonly sparse: boolean;
}

const EMBEDDING_BAG: JsFunction = {
  name: "embeddingBag",
  source: `/** The sum or mean of the rows of a table that ids name; a negative id subtracts its row. */
function embeddingBag(ids, table, weights, dim, padding, mean) {
  const y = new Float32Array(dim);
  let count = 0;
  for (let i = 0; i < ids.length; i++) {
    const row = Math.abs(ids[i]);
    if (row === padding) continue;
    if (!(Number.isInteger(row) && row * dim < table.length)) throw inputError("BAD_ARGUMENT", \`id: names no row of the table: \${ids[i]}\`);
    count++;
    const factor = (ids[i] < 0 ? -1 : 1) * (weights === null ? 1 : weights[i]);
    for (let j = 0; j < dim; j++) y[j] += factor * table[row * dim + j];
  }
  if (mean && count > 1) for (let j = 0; j < dim; j++) y[j] /= count;
  return y;
}`,
};

/** Inputs ids and table, and weights if there are some. */
const embeddingBagOp = defineOp<Attributes, null>({
  name: "embeddingBag",
  forward(inputs, attributes) {
    const [ids, table] = inputs;
    const shape = [ids.shape[0], table.shape[1]];
    expectElements("embeddingBag", shape);
    const data = allocate(shape[0] * shape[1]);
    if (isTracing() && !nameRows(inputs[0], inputs[1])) data.fill(0);
    else native.embeddingBagForward({ bags: bagsOf(inputs, attributes), table: table.data, out: data });
    return { data, shape, saved: null };
  },
  backward(grad, [, gradTable, gradWeights = null], { inputs, attributes }) {
    const bags = bagsOf(inputs, attributes);
    native.embeddingBagBackward({ bags, grad, table: inputs[1].data, named: null, gradTable, gradWeights });
  },
  backwardRows: (grad, { inputs, attributes }) =>
    attributes.sparse ? rowsOfGradient(grad, inputs[1], bagsOf(inputs, attributes)) : null,
  onnx({ inputs: [ids, table, weights], attributes: { mean, padding } }, builder) {
    // The rows of a bag times their factors [bags, 1, length]: 0 for padding, -1 for a negative id.
    const magnitude = builder.node({ type: "Abs", inputs: [ids] });
    const indices = builder.node({ type: "Cast", inputs: [magnitude], attributes: [int("to", DATA_TYPE.int64)] });
    const rows = builder.node({ type: "Gather", inputs: [table, indices], attributes: [int("axis", 0)] });
    const isPadding = builder.node({ type: "Equal", inputs: [magnitude, builder.scalar("padding", padding)] });
    const isKept = builder.node({ type: "Not", inputs: [isPadding] });
    const kept = builder.node({ type: "Cast", inputs: [isKept], attributes: [int("to", DATA_TYPE.float)] });
    // The sign of 0 is 0: a row of its own, without padding, counts as it is.
    const negative = builder.node({ type: "Less", inputs: [ids, builder.scalar("zero", 0)] });
    const minus = builder.scalar("minus", -1);
    const sign = builder.node({ type: "Where", inputs: [negative, minus, builder.scalar("one", 1)] });
    const signed = builder.node({ type: "Mul", inputs: [kept, sign] });
    const factors = weights === undefined ? signed : builder.node({ type: "Mul", inputs: [signed, weights] });
    const wide = builder.node({ type: "Unsqueeze", inputs: [factors, builder.integers("axes", [1])] });
    const product = builder.node({ type: "MatMul", inputs: [wide, rows] });
    const sum = { type: "Squeeze", inputs: [product, builder.integers("axes", [1])] };
    if (!mean) return sum;
    const count = builder.node({
      type: "ReduceSum",
      inputs: [kept, builder.integers("axes", [1])],
      attributes: [int("keepdims", 1)],
    });
    const least = builder.node({ type: "Max", inputs: [count, builder.scalar("one", 1)] });
    return { type: "Div", inputs: [builder.node(sum), least] };
  },
  js: ({ inputs: [ids, table, weights = "null"], shapes: [, [, dim]], attributes: { mean, padding } }, { call }) =>
    call(EMBEDDING_BAG, ids, table, weights, dim, padding, String(mean)),
  lower: ({ mean, padding }) => ({ kind: "embeddingBag", mean, padding }),
});

/**
 * The sum or mean of the rows of a table [rows, dim] that the ids [bags, length] of a bag name: [bags, dim]. An empty
 * bag, of padding alone, gives zeros. A negative id is the row of its magnitude, subtracted, as signed feature hashing
 * has it. `torch.nn.functional.embedding_bag` of a matrix of ids.
 *
 * @throws DistilleryError `SHAPE_MISMATCH`, `BAD_ARGUMENT` for an id that names no row, and for weights of a mean.
 * @example
 * ```ts
 * const table = tensor([[0, 0], [1, 2], [3, 4]]);
 * F.embeddingBag(tensor([[1, 2, 0]]), table, { paddingIdx: 0 }).toArray(); // [[2, 3]]
 * ```
 */
export function embeddingBag(ids: Tensor | IntTensor, table: Tensor, options: EmbeddingBagOptions = {}): Tensor {
  const floats = idsOf("embeddingBag: ids", ids);
  expectTable("embeddingBag: table", table);
  expectOptions("embeddingBag", options, ["mode", "paddingIdx", "perSampleWeights", "sparse"]);
  const { mode = "mean", paddingIdx = null, perSampleWeights = null, sparse = false } = options;
  expectOneOf("mode", mode, MODES);
  expectFlags({ sparse });
  expectShape("embeddingBag: ids", ids.shape, [-1, -1]);
  if (paddingIdx !== null) expectInteger("paddingIdx", paddingIdx, 0, table.shape[0] - 1);
  const attributes = { mean: mode === "mean", padding: paddingIdx ?? -1, sparse };
  if (perSampleWeights === null) return embeddingBagOp([floats, table], attributes);
  expectTensor("embeddingBag: perSampleWeights", perSampleWeights);
  expectShape("embeddingBag: perSampleWeights", perSampleWeights.shape, ids.shape);
  if (mode === "mean") {
    throw argumentError("perSampleWeights", 'expected mode "sum" with them, got "mean"');
  }
  return embeddingBagOp([floats, table, perSampleWeights], attributes);
}

/** The rows that ids in single precision tell apart. */
export const MOST_ROWS = 2 ** 24;

/** Refuses what is no table [rows, dim], and one of more rows than ids name. */
export function expectTable(name: string, table: unknown): asserts table is Tensor {
  expectTensor(name, table);
  expectShape(name, table.shape, [-1, -1]);
  expectInteger(`${name}: rows`, table.shape[0], 0, MOST_ROWS);
}

/** Ids in single precision, which holds those of every table: an operation's inputs are floats. */
export function idsOf(name: string, given: Tensor | IntTensor): Tensor {
  const ids = given instanceof IntTensor ? given.float() : given;
  if (!(ids instanceof Tensor)) throw badDtype(name, "a Tensor or an IntTensor", ids);
  if (ids.requiresGrad) throw badArgument(name, "a tensor that requires no gradient", ids);
  return ids;
}

/**
 * Whether all ids name rows of a table. A trace has random numbers for those of a batch, as it asks for operations and
 * shapes alone; the others are the network's own.
 */
export function nameRows(ids: Tensor, table: Tensor): boolean {
  return ids.data.every((id) => Number.isInteger(id) && Math.abs(id) < table.shape[0]);
}

/** The arguments of the kernels: one bag for each row of ids. */
export function bagsOf([ids, table, weights]: readonly Tensor[], { mean, padding }: Omit<Attributes, "sparse">) {
  const [[bags, length], [rows, dim]] = [ids.shape, table.shape];
  return { ids: ids.data, weights: weights?.data ?? null, bags, length, rows, dim, padding, mean, signed: true };
}

/** The gradient of the table, the second input, by the rows that ids name. */
export function rowsOfGradient(grad: Float32Array, table: Tensor, bags: ReturnType<typeof bagsOf>): GradRows {
  const out = new Int32Array(bags.ids.length);
  const rows = out.slice(0, native.embeddingBagRows({ bags, out }));
  const values = new Float32Array(rows.length * bags.dim);
  const into = { named: rows, gradTable: values, gradWeights: null };
  native.embeddingBagBackward({ bags, grad, table: table.data, ...into });
  return { input: 1, rows, values };
}
