import { int, type OnnxBuilder, type OnnxNode } from "../tensor/onnx_node.js";
import { scalar } from "./constants.js";
import type { Constant, Graph, Step, Value } from "./graph.js";
import { DATA_TYPE, type NODE, type TENSOR } from "./onnx_schema.js";
import type { Message } from "./protobuf.js";
import { cannotExport } from "./record.js";

/** Writes the nodes and initializers of a graph. */
export class OnnxGraph implements OnnxBuilder {
  readonly nodes: Message<typeof NODE>[] = [];
  readonly initializers: Message<typeof TENSOR>[] = [];
  readonly #names = new Map<Value, string>();
  readonly #taken: Set<string>;

  /** `reserved` names are given to nothing but what asks for them. */
  constructor(
    readonly opset: number,
    reserved: readonly string[],
  ) {
    this.#taken = new Set(reserved);
  }

  /** Adds a graph that reads the value `input` and makes the value `output`. */
  add(graph: Graph, input: string, output: string): void {
    this.#names.set(graph.input, input);
    for (const step of graph.steps) {
      this.#names.set(step, this.#step(step, step === graph.output ? output : undefined));
    }
    if (graph.output.kind === "input") this.node({ type: "Identity", inputs: [input] }, output);
  }

  /** Adds a node, and gives its output's name. */
  node({ type, inputs, attributes = [] }: OnnxNode, output?: string): string {
    const name = this.#unique(type.toLowerCase());
    const made = output ?? name;
    this.nodes.push({ input: inputs, output: [made], name, opType: type, attribute: [...attributes] });
    return made;
  }

  scalar(name: string, value: number): string {
    return this.constant(scalar(name, value));
  }

  integers(name: string, values: readonly number[]): string {
    return this.#initializer(name, DATA_TYPE.int64, [values.length], BigInt64Array.from(values, BigInt));
  }

  refusal(reason: string): Error {
    return cannotExport(reason);
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
    return this.node({ type: "DequantizeLinear", inputs: [q, scale], attributes: [int("axis", 0)] });
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

  #step({ op, attributes, inputs: values, shape }: Step, output: string | undefined): string {
    const inputs = values.map((value) =>
      value.kind === "constant" ? this.constant(value) : (this.#names.get(value) as string),
    );
    if (op.onnx === undefined) throw cannotExport(`it has no form for the operation "${op.name}"`);
    return this.node(
      typeof op.onnx === "string" ? { type: op.onnx, inputs } : op.onnx({ inputs, attributes, shape }, this),
      output,
    );
  }

  #unique(name: string): string {
    let unique = name;
    for (let i = 1; this.#taken.has(unique); i++) unique = `${name}_${i}`;
    this.#taken.add(unique);
    return unique;
  }
}

/** The bytes of an array as they lie in memory: every platform that Node.js and the kernels run on is little-endian. */
function littleEndian(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
