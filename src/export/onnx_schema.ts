import type { Fields } from "./protobuf.js";

/**
 * The messages of ONNX that a network of this library needs, with the numbers and types of `onnx/onnx.proto` in ONNX
 * 1.23 (Apache-2.0). Its names in camel case, as protobuf's JSON has them.
 */
const TENSOR = {
  dims: { number: 1, type: "int64", repeated: true },
  dataType: { number: 2, type: "int32" },
  name: { number: 8, type: "string" },
  rawData: { number: 9, type: "bytes" },
} as const satisfies Fields;

const ATTRIBUTE = {
  name: { number: 1, type: "string" },
  f: { number: 2, type: "float" },
  i: { number: 3, type: "int64" },
  ints: { number: 8, type: "int64", repeated: true },
  type: { number: 20, type: "int32" },
} as const satisfies Fields;

export const NODE = {
  input: { number: 1, type: "string", repeated: true },
  output: { number: 2, type: "string", repeated: true },
  name: { number: 3, type: "string" },
  opType: { number: 4, type: "string" },
  attribute: { number: 5, type: ATTRIBUTE, repeated: true },
} as const satisfies Fields;

const DIMENSION = {
  dimValue: { number: 1, type: "int64" },
  dimParam: { number: 2, type: "string" },
} as const satisfies Fields;

const SHAPE = { dim: { number: 1, type: DIMENSION, repeated: true } } as const satisfies Fields;

const TENSOR_TYPE = {
  elemType: { number: 1, type: "int32" },
  shape: { number: 2, type: SHAPE },
} as const satisfies Fields;

const VALUE_INFO = {
  name: { number: 1, type: "string" },
  type: { number: 2, type: { tensorType: { number: 1, type: TENSOR_TYPE } } },
} as const satisfies Fields;

const GRAPH = {
  node: { number: 1, type: NODE, repeated: true },
  name: { number: 2, type: "string" },
  initializer: { number: 5, type: TENSOR, repeated: true },
  input: { number: 11, type: VALUE_INFO, repeated: true },
  output: { number: 12, type: VALUE_INFO, repeated: true },
} as const satisfies Fields;

const OPERATOR_SET = {
  domain: { number: 1, type: "string" },
  version: { number: 2, type: "int64" },
} as const satisfies Fields;

const ENTRY = {
  key: { number: 1, type: "string" },
  value: { number: 2, type: "string" },
} as const satisfies Fields;

export const MODEL = {
  irVersion: { number: 1, type: "int64" },
  producerName: { number: 2, type: "string" },
  graph: { number: 7, type: GRAPH },
  opsetImport: { number: 8, type: OPERATOR_SET, repeated: true },
  metadataProps: { number: 14, type: ENTRY, repeated: true },
} as const satisfies Fields;

export type { GRAPH, TENSOR, VALUE_INFO };
