import type { Constant, Graph, Step, StepOperation, Value } from "./graph.js";
import { type ATTRIBUTE, ATTRIBUTE_TYPE, DATA_TYPE, type NODE, type TENSOR } from "./onnx_schema.js";
import type { Message } from "./protobuf.js";

type Attribute = Message<typeof ATTRIBUTE>;

/** From here on ReduceMean takes its axes as an input, as ReduceSum does from 13 on. */
const MEAN_TAKES_AXES = 18;

const PLAIN = { add: "Add", mul: "Mul", matmul: "MatMul", relu: "Relu" } as const;

/** Writes the nodes and initializers of a graph. */
export class OnnxGraph {
  readonly nodes: Message<typeof NODE>[] = [];
  readonly initializers: Message<typeof TENSOR>[] = [];
  readonly #names = new Map<Value, string>();
  readonly #taken: Set<string>;
  readonly #opset: number;

  /** `reserved` names are given to nothing but what asks for them. */
  constructor(opset: number, reserved: readonly string[]) {
    this.#opset = opset;
    this.#taken = new Set(reserved);
  }

  /** Adds a graph that reads the value `input` and makes the value `output`. */
  add(graph: Graph, input: string, output: string): void {
    this.#names.set(graph.input, input);
    for (const step of graph.steps) {
      this.#names.set(step, this.#step(step, step === graph.output ? output : undefined));
    }
    if (graph.output.kind === "input") this.node("Identity", [input], [], output);
  }

  /** Adds a node, and gives its output's name. */
  node(opType: string, input: readonly string[], attribute: readonly Attribute[] = [], output?: string): string {
    const name = this.#unique(opType.toLowerCase());
    const made = output ?? name;
    this.nodes.push({ input, output: [made], name, opType, attribute });
    return made;
  }

  /** The name of a constant, which is written once. */
  constant(constant: Constant): string {
    const known = this.#names.get(constant);
    if (known !== undefined) return known;
    const name = constant.quantised === undefined ? this.#floats(constant) : this.#quantised(constant);
    this.#names.set(constant, name);
    return name;
  }

  #floats({ name, data, shape }: Pick<Constant, "name" | "data" | "shape">): string {
    return this.#initializer(name, DATA_TYPE.float, shape, data);
  }

  /** Weights in 8 bits, and the node that makes floats of them. */
  #quantised({ name, shape, quantised }: Constant): string {
    const { values, scales } = quantised as NonNullable<typeof quantised>;
    const q = this.#initializer(`${name}.int8`, DATA_TYPE.int8, shape, values);
    const scale = this.#floats({ name: `${name}.scale`, data: scales, shape: [scales.length] });
    return this.node("DequantizeLinear", [q, scale], [int("axis", 0)]);
  }

  #initializer(
    name: string,
    dataType: number,
    dims: readonly number[],
    data: Float32Array | Int8Array | BigInt64Array,
  ): string {
    const unique = this.#unique(name);
    this.initializers.push({ dims, dataType, name: unique, rawData: littleEndian(data) });
    return unique;
  }

  #step({ operation, inputs, shape }: Step, output: string | undefined): string {
    const names = inputs.map((value) =>
      value.kind === "constant" ? this.constant(value) : (this.#names.get(value) as string),
    );
    switch (operation.kind) {
      case "linear": {
        const gemm = this.node("Gemm", names, [int("transB", 1)], operation.relu ? undefined : output);
        return operation.relu ? this.node("Relu", [gemm], [], output) : gemm;
      }
      case "batchNorm":
        return this.node("BatchNormalization", names, [float("epsilon", operation.eps)], output);
      case "softmax":
      case "logSoftmax":
        return this.node(operation.kind === "softmax" ? "Softmax" : "LogSoftmax", names, [int("axis", -1)], output);
      case "sum":
      case "mean":
        return this.#reduce(operation, names, output);
      case "reshape": {
        const lengths = shape.map((length) => (typeof length === "number" ? length : -1));
        return this.node("Reshape", [...names, this.#integers("shape", lengths)], [], output);
      }
      default:
        return this.node(PLAIN[operation.kind], names, [], output);
    }
  }

  #reduce(
    { kind, axis, keepdim }: Extract<StepOperation, { axis: unknown }>,
    names: readonly string[],
    output: string | undefined,
  ): string {
    const opType = kind === "sum" ? "ReduceSum" : "ReduceMean";
    const keep = int("keepdims", keepdim ? 1 : 0);
    if (axis === null) return this.node(opType, names, [keep], output);
    if (kind === "mean" && this.#opset < MEAN_TAKES_AXES) {
      return this.node(opType, names, [keep, { name: "axes", ints: [axis], type: ATTRIBUTE_TYPE.ints }], output);
    }
    return this.node(opType, [...names, this.#integers("axes", [axis])], [keep], output);
  }

  #integers(name: string, values: readonly number[]): string {
    return this.#initializer(name, DATA_TYPE.int64, [values.length], BigInt64Array.from(values, BigInt));
  }

  #unique(name: string): string {
    let unique = name;
    for (let i = 1; this.#taken.has(unique); i++) unique = `${name}_${i}`;
    this.#taken.add(unique);
    return unique;
  }
}

export function int(name: string, i: number): Attribute {
  return { name, i, type: ATTRIBUTE_TYPE.int };
}

function float(name: string, f: number): Attribute {
  return { name, f, type: ATTRIBUTE_TYPE.float };
}

/** The bytes of an array as they lie in memory: every platform that Node.js and the kernels run on is little-endian. */
function littleEndian(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
