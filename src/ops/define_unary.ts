import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { JsBuilder } from "../tensor/js_form.js";
import type { OnnxBuilder, OnnxNode } from "../tensor/onnx_node.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineOp } from "./define_op.js";

/** The positions of the native table's rows. */
const ROWS = new Map(native.unaryNames().map((name, row) => [name, row]));

/** The numbers that a row of the table may take. */
interface Parameters {
  readonly a: number;
  readonly b: number;
}

const NONE: Parameters = { a: 0, b: 0 };

/** The value of an element `v` as JavaScript. */
type JsForm = string | ((parameters: Parameters, builder: JsBuilder) => string);

type OnnxForm = string | ((x: string, builder: OnnxBuilder, parameters: Parameters) => OnnxNode);

/** The operation of a row of the native table `crates/kernels/src/unary.rs`, that may take parameters. */
export function defineUnaryWith(
  name: string,
  js: JsForm,
  onnx?: OnnxForm,
): (x: Tensor, parameters: Parameters) => Tensor {
  const row = ROWS.get(name);
  if (row === undefined) throw new DistilleryError("INTERNAL", `${name}: no row of the native table`);
  const op = defineOp<Parameters, null>({
    name,
    forward([x], { a, b }) {
      const data = allocate(x.size);
      native.unaryForward(row, x.data, a, b, data);
      return { data, shape: x.shape, saved: null };
    },
    backward(grad, [into], { inputs: [x], attributes: { a, b }, output }) {
      if (into) native.unaryBackward(row, grad, x.data, output, a, b, into);
    },
    lower: ({ a, b }) => ({ kind: name, factor: a, offset: b }),
    js({ inputs: [x], attributes }, builder) {
      return `${x}.map((v) => ${typeof js === "string" ? js : js(attributes, builder)})`;
    },
    onnx: typeof onnx === "function" ? ({ inputs: [x], attributes }, builder) => onnx(x, builder, attributes) : onnx,
  });
  return (x, parameters) => {
    expectTensor(`${name}: x`, x);
    return op([x], parameters);
  };
}

/** The operation of a row of the native table. */
export function defineUnary(name: string, js: JsForm, onnx?: OnnxForm): (x: Tensor) => Tensor {
  const op = defineUnaryWith(name, js, onnx);
  return (x) => op(x, NONE);
}
