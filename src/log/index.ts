export { csvLog } from "./csv_log.js";
export { formatEpoch } from "./epoch_line.js";
export { type EpochRecord, flattenRecord, type Metrics } from "./epoch_record.js";
export { DEFAULT_LOG_FILE, logged, withLogFile } from "./log_file.js";
export type { MetricsLog } from "./metrics_log.js";
export { printable, printableInline } from "./printable.js";
export { overallBar, type Progress, progressBar } from "./progress_bar.js";
export type { StepProgress, WorkProgress } from "./progress_line.js";
export { tensorBoardLog } from "./tensor_board.js";
