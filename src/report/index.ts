export type { Networks } from "./answers.js";
export { compareReport, type ReportExtras, sweepReport } from "./compare_report.js";
export type { ReportOptions } from "./head.js";
export type * from "./report_data.js";
export { type RunReportInput, runReport } from "./run_report.js";
export { writeReport } from "./write_report.js";
