import { expectElements, expectFlags, expectInteger, expectOptions } from "../checks.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { IntTensor } from "../tensor/int_tensor.js";
import type { JsFunction } from "../tensor/js_form.js";
import { DATA_TYPE, int } from "../tensor/onnx_node.js";
import type { Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";
import { defineOp } from "./define_op.js";
import { bagsOf, type EmbeddingBagOptions, expectTable, idsOf, nameRows, rowsOfGradient } from "./embedding_bag.js";

interface Attributes {
  /** The id whose row gets no gradient; -1: none. */
  readonly padding: number;
  readonly sparse: boolean;
}

const EMBEDDING: JsFunction = {
  name: "embedding",
  source: `/** The row of a table that each id names. */
function embedding(ids, table, dim) {
  const y = new Float32Array(ids.length * dim);
  for (let i = 0; i < ids.length; i++) {
    const row = ids[i];
    if (!(Number.isInteger(row) && row >= 0 && row * dim < table.length)) throw inputError("BAD_ARGUMENT", \`id: names no row of the table: \${row}\`);
    for (let j = 0; j < dim; j++) y[i * dim + j] = table[row * dim + j];
  }
  return y;
}`,
};

/** Inputs ids and table: each id is a bag of its own. */
const embeddingOp = defineOp<Attributes, null>({
  name: "embedding",
  forward([ids, table]) {
    expectElements("embedding", [ids.size, table.shape[1]]);
    const data = allocate(ids.size * table.shape[1]);
    if (isTracing() && !nameRows(ids, table)) data.fill(0);
    else {
      expectIds(ids.data, table.shape[0]);
      native.embeddingBagForward({ bags: each(ids, table, -1), table: table.data, out: data });
    }
    return { data, shape: [...ids.shape, table.shape[1]], saved: null };
  },
  backward(grad, [, gradTable], { inputs: [ids, table], attributes: { padding } }) {
    const bags = each(ids, table, padding);
    native.embeddingBagBackward({ bags, grad, table: table.data, named: null, gradTable, gradWeights: null });
  },
  backwardRows: (grad, { inputs: [ids, table], attributes: { padding, sparse } }) =>
    sparse ? rowsOfGradient(grad, table, each(ids, table, padding)) : null,
  onnx({ inputs: [ids, table] }, builder) {
    const indices = builder.node({ type: "Cast", inputs: [ids], attributes: [int("to", DATA_TYPE.int64)] });
    return { type: "Gather", inputs: [table, indices], attributes: [int("axis", 0)] };
  },
  js: ({ inputs: [ids, table], shapes: [, [, dim]] }, { call }) => call(EMBEDDING, ids, table, dim),
  lower: () => ({ kind: "embedding" }),
});

/**
 * The row of a table [rows, dim] that each id names: ids [...] to [..., dim]. The row of `paddingIdx` gets no gradient.
 * `torch.nn.functional.embedding`.
 *
 * @throws DistilleryError `SHAPE_MISMATCH`, `BAD_ARGUMENT` for an id that names no row.
 * @example
 * ```ts
 * F.embedding(tensor([1, 0]), tensor([[1, 2], [3, 4]])).toArray(); // [[3, 4], [1, 2]]
 * ```
 */
export function embedding(
  ids: Tensor | IntTensor,
  table: Tensor,
  options: Pick<EmbeddingBagOptions, "paddingIdx" | "sparse"> = {},
): Tensor {
  const floats = idsOf("embedding: ids", ids);
  expectTable("embedding: table", table);
  expectOptions("embedding", options, ["paddingIdx", "sparse"]);
  const { paddingIdx = null, sparse = false } = options;
  expectFlags({ sparse });
  if (paddingIdx !== null) expectInteger("paddingIdx", paddingIdx, 0, table.shape[0] - 1);
  return embeddingOp([floats, table], { padding: paddingIdx ?? -1, sparse });
}

function expectIds(ids: Float32Array, rows: number): void {
  const wrong = ids.findIndex((id) => !(Number.isInteger(id) && id >= 0 && id < rows));
  if (wrong >= 0) expectInteger(`embedding: ids[${wrong}]`, ids[wrong], 0, rows - 1);
}

function each(ids: Tensor, table: Tensor, padding: number) {
  return { ...bagsOf([ids, table], { mean: false, padding }), bags: ids.size, length: 1, signed: false };
}
