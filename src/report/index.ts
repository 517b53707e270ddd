export { type ChainInput, distillChain, type Link, type TrainedLink } from "./chain.js";
export { compareReport, type ReportExtras, sweepReport } from "./experiment_report.js";
export type { ReportOptions } from "./head.js";
export { writeReport } from "./html.js";
export type { Networks } from "./predictions.js";
export type * from "./report_data.js";
export { type RunReportInput, runReport } from "./run_report.js";
