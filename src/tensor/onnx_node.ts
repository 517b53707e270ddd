/** `TensorProto.DataType`. */
export const DATA_TYPE = { float: 1, uint8: 2, int8: 3, int64: 7, float16: 10 } as const;
/** `AttributeProto.AttributeType`. */
const TYPE = { float: 1, int: 2, ints: 7 } as const;

/** An attribute of an ONNX node, as `AttributeProto`. */
export interface OnnxAttribute {
  readonly name: string;
  readonly type: number;
  readonly i?: number;
  readonly f?: number;
  readonly ints?: readonly number[];
}

/** A node: its operator's type, the names of its inputs, and its attributes. */
export interface OnnxNode {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly attributes?: readonly OnnxAttribute[];
}

/** A call of an operation that is to be written; `A` are its attributes. */
export interface OnnxStep<A> {
  /** The names of its inputs' values. */
  readonly inputs: readonly string[];
  readonly attributes: A;
  /** The output's shape: "batch" for the number of rows, null for another length that depends on it. */
  readonly shape: readonly (number | "batch" | null)[];
}

/** What an operation may add to the ONNX graph before its own last node. */
export interface OnnxBuilder {
  readonly opset: number;
  /** Adds a node and gives the name of its output. */
  node(node: OnnxNode): string;
  /** Adds a single number. */
  scalar(name: string, value: number): string;
  /** Adds a list of 64-bit integers. */
  integers(name: string, values: readonly number[]): string;
  /** The number of rows of the batch, as a list of one 64-bit integer. */
  rows(): string;
  /** The error that says why the network has no ONNX form: throw it. */
  refusal(reason: string): Error;
}

/** An integer attribute. */
export function int(name: string, i: number): OnnxAttribute {
  return { name, i, type: TYPE.int };
}

/** An attribute in single precision. */
export function float(name: string, f: number): OnnxAttribute {
  return { name, f, type: TYPE.float };
}

/** An attribute of several integers. */
export function ints(name: string, values: readonly number[]): OnnxAttribute {
  return { name, ints: values, type: TYPE.ints };
}
