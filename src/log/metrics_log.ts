import type { EpochRecord } from "./epoch_line.js";

/** Another place that a run's metrics go to, beside `metrics.jsonl`: no epoch is there twice, and none is missing. */
export interface MetricsLog {
  /** Starts anew with the epochs that a resumed run has made before, or with none. */
  begin(history: readonly EpochRecord[]): void | Promise<void>;
  /** Adds an epoch. */
  epoch(record: EpochRecord): void | Promise<void>;
  /** What was given is on the disk afterwards. */
  close(): void | Promise<void>;
}
