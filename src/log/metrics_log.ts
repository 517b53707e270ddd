import { argumentError, badArgument } from "../checks.js";
import { AppendFile } from "./append_file.js";
import { type EpochRecord, expectRecord } from "./epoch_record.js";

/** Another place for a run's metrics, beside `metrics.jsonl`: each epoch is there exactly once. */
export interface MetricsLog {
  /** The file that it writes, if it is always the same one: a run refuses one of its own. */
  readonly path?: string | undefined;
  /** Starts anew with the epochs that a resumed run made before, or with none. */
  begin(history: readonly EpochRecord[]): void | Promise<void>;
  /** Adds an epoch. */
  epoch(record: EpochRecord): void | Promise<void>;
  /** What was added is on the disk afterwards. */
  close(): void | Promise<void>;
}

/** The format of a log that is one file. */
interface LogFormat {
  /** The file's beginning, and its path: it may be another one each time. */
  start(history: readonly EpochRecord[]): Promise<{ path: string; data: Uint8Array | string }>;
  /** Called once that is on the disk. */
  begun?(path: string): Promise<void>;
  /** What an epoch appends; null if the file has to be written anew with this epoch too. */
  added(record: EpochRecord): Uint8Array | string | null;
}

/** A metrics log in one file of the given format. */
export class FileMetricsLog implements MetricsLog {
  #file: AppendFile | null = null;
  #history: EpochRecord[] = [];

  constructor(
    private readonly format: LogFormat,
    readonly path?: string,
  ) {}

  async begin(history: readonly EpochRecord[]): Promise<void> {
    if (!Array.isArray(history)) {
      throw badArgument("history", "a list of epoch records", history);
    }
    history.forEach((record: EpochRecord, i) => {
      expectRecord(`history[${i}]`, record);
    });
    this.close();
    this.#history = [...history];
    const { path, data } = await this.format.start(history);
    this.#file = await AppendFile.begin(path, data);
    await this.format.begun?.(path);
  }

  async epoch(record: EpochRecord): Promise<void> {
    expectRecord("record", record);
    if (this.#file === null) throw argumentError("epoch", "expected begin() to be called before");
    const data = this.format.added(record);
    if (data === null) return this.begin([...this.#history, record]);
    this.#history.push(record);
    this.#file.append(data);
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
  }
}
