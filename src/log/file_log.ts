import { expectInteger, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { EPOCH_FIGURES, type EpochRecord } from "./epoch_line.js";
import { GrowingFile } from "./growing_file.js";
import type { MetricsLog } from "./metrics_log.js";

/** The form of a log that is one file. */
export interface LogFormat {
  /** What the file begins with, and where it is: it may be another one each time. */
  start(history: readonly EpochRecord[]): Promise<{ path: string; data: Uint8Array | string }>;
  /** Called once that is on the disk. */
  begun?(path: string): Promise<void>;
  /** What an epoch adds. */
  added(record: EpochRecord): Uint8Array | string;
}

/** A log in a file of this form. */
export class FileLog implements MetricsLog {
  #file: GrowingFile | null = null;

  constructor(private readonly format: LogFormat) {}

  async begin(history: readonly EpochRecord[]): Promise<void> {
    if (!Array.isArray(history)) throw refused("history", history, "a list of epoch records");
    history.forEach((record: EpochRecord, i) => {
      expectRecord(`history[${i}]`, record);
    });
    this.close();
    const { path, data } = await this.format.start(history);
    this.#file = await GrowingFile.begin(path, data);
    await this.format.begun?.(path);
  }

  epoch(record: EpochRecord): void {
    expectRecord("record", record);
    if (this.#file === null) throw new DistilleryError("BAD_ARGUMENT", "epoch: expected begin() to be called before");
    this.#file.append(this.format.added(record));
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
  }
}

/** A path that was given as an argument. */
export function expectPath(name: string, path: unknown): string {
  if (typeof path === "string" && path !== "") return path;
  throw refused(name, path, "a path");
}

function expectRecord(name: string, record: EpochRecord): void {
  if (typeof record !== "object" || record === null) throw refused(name, record, "an epoch record");
  expectInteger(`${name}.epoch`, record.epoch, 1);
  for (const figure of EPOCH_FIGURES) {
    const value = record[figure];
    if (value !== undefined && typeof value !== "number") throw refused(`${name}.${figure}`, value, "a number");
  }
}

function refused(name: string, got: unknown, expected: string): DistilleryError {
  return new DistilleryError("BAD_ARGUMENT", `${name}: expected ${expected}, got ${show(got)}`);
}
