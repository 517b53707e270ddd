import type { DistilleryError } from "../errors.js";
import { bytesOf } from "../files/index.js";
import type { Constant, Graph, Length, Node, Value } from "../graph/index.js";
import { DATA_TYPE, int, type OnnxAttribute, type OnnxBuilder, type OnnxNode } from "../tensor/onnx_node.js";
import { scalar } from "./constants.js";
import { cannotExport } from "./exported_graph.js";
import type { NODE, TENSOR } from "./onnx_schema.js";
import type { Message } from "./protobuf.js";

/** Writes the nodes and initializers of a graph. */
export class OnnxGraph implements OnnxBuilder {
  readonly nodes: Message<typeof NODE>[] = [];
  readonly initializers: Message<typeof TENSOR>[] = [];
  readonly #names = new Map<Value, string>();
  readonly #taken: Set<string>;
  #input = "";
  #rows: string | null = null;

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
    this.#input = input;
    for (const node of graph.nodes) {
      this.#names.set(node, this.#add(this.#onnxNode(node), node === graph.output ? output : undefined));
    }
    if (graph.output.kind === "input") this.#add({ type: "Identity", inputs: [input] }, output);
  }

  node(node: OnnxNode, output?: string): string {
    return this.#add(node, output);
  }

  scalar(name: string, value: number): string {
    return this.constant(scalar(name, value));
  }

  integers(name: string, values: readonly number[]): string {
    return this.#initializer(name, DATA_TYPE.int64, [values.length], BigInt64Array.from(values, BigInt));
  }

  rows(): string {
    if (this.#rows !== null) return this.#rows;
    const shape = this.node({ type: "Shape", inputs: [this.#input] });
    const [start, end] = [this.integers("start", [0]), this.integers("end", [1])];
    this.#rows = this.node({ type: "Slice", inputs: [shape, start, end] });
    return this.#rows;
  }

  refusal(reason: string): DistilleryError {
    return cannotExport(reason, "ONNX");
  }

  /** The name of a constant, which is written once. */
  constant(constant: Constant): string {
    const known = this.#names.get(constant);
    if (known !== undefined) return known;
    const name =
      constant.quantized !== undefined
        ? this.#quantized(constant, constant.quantized)
        : constant.half !== undefined
          ? this.#half(constant, constant.half)
          : this.#floats(constant);
    this.#names.set(constant, name);
    return name;
  }

  #onnxNode({ op, attributes, inputs: values, shape }: Node): OnnxNode {
    const inputs = values.map((value) =>
      value.kind === "constant" ? this.constant(value) : (this.#names.get(value) as string),
    );
    if (op.onnx === undefined) throw this.refusal(`it has no form for the operation "${op.name}"`);
    if (typeof op.onnx === "string") return { type: op.onnx, inputs };
    return op.onnx({ inputs, attributes, shape: onnxShape(shape) }, this);
  }

  /** Adds a node, and gives its output's name. */
  #add({ type, inputs, attributes = [] }: OnnxNode, output?: string): string {
    const name = this.#unique(type.toLowerCase());
    const made = output ?? name;
    const attribute: OnnxAttribute[] = [...attributes];
    this.nodes.push({ input: inputs, output: [made], name, opType: type, attribute });
    return made;
  }

  #floats({ name, data, shape }: Pick<Constant, "name" | "data" | "shape">): string {
    return this.#initializer(name, DATA_TYPE.float, shape, data);
  }

  /** Weights in 8 bits, and the node that makes floats of them. */
  #quantized({ name, shape }: Constant, { values, scales }: NonNullable<Constant["quantized"]>): string {
    const q = this.#initializer(`${name}.int8`, DATA_TYPE.int8, shape, values);
    const scale = this.#floats({ name: `${name}.scale`, data: scales, shape: [scales.length] });
    return this.node({ type: "DequantizeLinear", inputs: [q, scale], attributes: [int("axis", 0)] });
  }

  /** Weights as float16, and the node that makes floats of them. */
  #half({ name, shape }: Constant, half: Uint16Array): string {
    const stored = this.#initializer(`${name}.float16`, DATA_TYPE.float16, shape, half);
    return this.node({ type: "Cast", inputs: [stored], attributes: [int("to", DATA_TYPE.float)] });
  }

  #initializer(
    name: string,
    dataType: number,
    dims: readonly number[],
    data: Float32Array | Int8Array | Uint16Array | BigInt64Array,
  ): string {
    const unique = this.#unique(name);
    this.initializers.push({ dims, dataType, name: unique, rawData: bytesOf(data) });
    return unique;
  }

  #unique(name: string): string {
    let unique = name;
    for (let i = 1; this.#taken.has(unique); i++) unique = `${name}_${i}`;
    this.#taken.add(unique);
    return unique;
  }
}

/** A shape as ONNX has it: it knows no multiples of the batch. */
export function onnxShape(shape: readonly Length[]): (number | "batch" | null)[] {
  return shape.map((length) => (typeof length === "object" ? null : length));
}
