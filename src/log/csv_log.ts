import { expectPath } from "../checks.js";
import { type EpochRecord, flattenRecord } from "./epoch_record.js";
import { FileMetricsLog, type MetricsLog } from "./metrics_log.js";

/**
 * Metrics as a CSV file (RFC 4180): a line of the names that `metrics.jsonl` has too, then a line an epoch; a cell is
 * empty if the epoch has no such metric. The columns are those of the epochs so far: an epoch that brings a new metric
 * rewrites the file. The folder is made, and the file's former content is replaced.
 *
 * @throws DistilleryError `BAD_ARGUMENT` if the file is no path; its methods `IO_ERROR` if it can't be written.
 * @example
 * ```ts
 * await distill({ teacher, student, data, logs: [csvLog("runs/distill/metrics.csv")] });
 * ```
 */
export function csvLog(file: string): MetricsLog {
  const path = expectPath("file", file);
  let columns: string[] = [];
  const row = (record: EpochRecord) => {
    const values = flattenRecord(record);
    return line(columns.map((name) => values[name] ?? ""));
  };
  return new FileMetricsLog(
    {
      async start(history) {
        columns = columnsOf(history);
        return { path, data: history.length === 0 ? "" : line(columns) + history.map(row).join("") };
      },
      added: (record) =>
        Object.keys(flattenRecord(record)).every((name) => columns.includes(name)) ? row(record) : null,
    },
    path,
  );
}

/** The names of all records, in the order of a record. */
function columnsOf(history: readonly EpochRecord[]): string[] {
  const metrics = Object.assign({}, ...history.map((record) => record.metrics));
  return history[0] === undefined ? [] : Object.keys(flattenRecord({ ...history[0], metrics }));
}

/** Numbers need no quotes; a metric's name might. */
function line(cells: readonly (string | number)[]): string {
  const quoted = (cell: string | number) =>
    /[",\r\n]/.test(`${cell}`) ? `"${`${cell}`.replaceAll('"', '""')}"` : cell;
  return `${cells.map(quoted).join(",")}\r\n`;
}
