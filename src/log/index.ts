export { type EpochRecord, formatEpoch } from "./epoch_line.js";
export { DEFAULT_LOG_FILE, withLogFile } from "./log_file.js";
export type { MetricsLog } from "./metrics_log.js";
export { type Progress, progressBar } from "./progress_bar.js";
