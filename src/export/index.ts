export { exportedGraph, exportOnnx, type OnnxSummary, type OnnxValue, saveOnnx } from "./onnx.js";
export { accuracyByOnnxRuntime } from "./onnx_runtime.js";
export type { OnnxOptions } from "./options.js";
