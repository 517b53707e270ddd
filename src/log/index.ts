export type { OverallProgress, StepProgress } from "./bar_lines.js";
export { csvLog } from "./csv_log.js";
export { type EpochRecord, formatEpoch } from "./epoch_line.js";
export { DEFAULT_LOG_FILE, withLogFile } from "./log_file.js";
export type { MetricsLog } from "./metrics_log.js";
export { percent } from "./percent.js";
export { overallBar, type Progress, progressBar } from "./progress_bar.js";
export { tensorBoardLog } from "./tensor_board.js";
