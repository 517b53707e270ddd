import { EPOCH_FIGURES, type EpochRecord } from "./epoch_line.js";
import { expectPath, FileLog } from "./file_log.js";
import type { MetricsLog } from "./metrics_log.js";

/**
 * Metrics as a CSV file (RFC 4180): a line with the names that `metrics.jsonl` has, too, then a line an epoch. All runs
 * have the same columns; what an epoch does not have is empty. The folder is made, and what the file had before is
 * replaced.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a file that is no path; its methods `IO_ERROR` where it can't be written.
 * @example
 * ```ts
 * await distill({ teacher, student, data, logs: [csvLog("runs/distill/metrics.csv")] });
 * ```
 */
export function csvLog(file: string): MetricsLog {
  const path = expectPath("file", file);
  return new FileLog({
    start: async (history) => ({ path, data: line(EPOCH_FIGURES) + history.map(row).join("") }),
    added: row,
  });
}

function row(record: EpochRecord): string {
  return line(EPOCH_FIGURES.map((name) => record[name] ?? ""));
}

/** Names and numbers need no quotes. */
function line(cells: readonly (string | number)[]): string {
  return `${cells.join(",")}\r\n`;
}
