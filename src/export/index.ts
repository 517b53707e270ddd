export { type ExportFormat, exportedGraph, type GraphOptions } from "./exported_graph.js";
export { type HtmlSummary, saveHtml } from "./html.js";
export { exportJs, type JsModule, type JsOptions, type JsSummary, saveJs } from "./js/export_js.js";
export { exportOnnx, type OnnxSummary, type OnnxValue, saveOnnx } from "./onnx.js";
export { accuracyByOnnxRuntime } from "./onnx_runtime.js";
export type { OnnxOptions } from "./options.js";
