import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ioError, writeWhole } from "../files/index.js";
import type { StateDict } from "../nn/state_dict.js";
import { CheckpointFiles, type FoundCheckpoint } from "./checkpoint_files.js";
import { canGoOn, changesOf, type RunConfig } from "./config_changes.js";
import {
  expectReplaceable,
  expectResumable,
  hasCheckpoint,
  readFolderConfig,
  refuseOther,
  writeConfig,
} from "./folder_config.js";
import type { FolderLock } from "./folder_lock.js";
import { removeReplacedRun, weightsOf } from "./replaced.js";
import { CONFIG, expectFreeFolder, lockFolder, METRICS } from "./run_folder.js";
import { save } from "./save.js";

/** How a folder is opened for a run. */
interface RunDirectoryOptions {
  /** Whether to continue the run in the folder. */
  resume: boolean;
  /** Whether a run of another configuration may be replaced. */
  overwrite: boolean;
  /** The names of the run's weights, without `_best` and extension. */
  names: readonly string[];
  /** How many checkpoints are kept. */
  keep: number;
  /** Called with notes for the user. */
  onNote: (text: string) => void;
}

/** The note for a run that is to be resumed and has not begun. */
export const NOTHING_TO_RESUME = "nothing to resume, starting from the beginning";

/**
 * The folder of one run: `config.json`, `metrics.jsonl` with a line per epoch, the checkpoints to resume from, and the
 * final weights. Each file is written whole or not at all, except `metrics.jsonl`, which grows. The folder is locked
 * for one run at a time, as {@link takeLock} describes.
 */
export class RunDirectory {
  readonly #lock: FolderLock;
  /** The configuration of a run that is extended, with the previous number of epochs. */
  #extended: { readonly config: RunConfig; note(): void } | null = null;

  private constructor(
    readonly path: string,
    readonly checkpoints: CheckpointFiles,
    lock: FolderLock,
  ) {
    this.#lock = lock;
  }

  /**
   * Opens a folder for a run. Returns the checkpoint to continue from, or null if the run starts from the beginning;
   * then the checkpoints and metrics of an earlier run are removed and, if its options differ, its weights and report
   * too.
   *
   * @throws DistilleryError as {@link lockFolder}; `BAD_CONFIG` with the differences if the folder has a run with
   * another configuration that is to be resumed or must not be replaced; `BAD_CHECKPOINT` if all its checkpoints are
   * damaged.
   */
  static async open(
    path: string,
    config: RunConfig,
    { resume, overwrite, names, keep, onNote }: RunDirectoryOptions,
  ): Promise<{ directory: RunDirectory; checkpoint: FoundCheckpoint | null }> {
    const directory = new RunDirectory(path, new CheckpointFiles(path, keep), await lockFolder(path, { onNote }));
    try {
      if (!resume && !overwrite) await expectReplaceable(path, config);
      const checkpoint = resume ? await directory.#resume(config, onNote) : null;
      if (checkpoint === null) {
        if (overwrite) removeReplacedRun(path, config, weightsOf(names));
        await directory.#begin(config);
      }
      return { directory, checkpoint };
    } catch (error) {
      await directory.close();
      throw error;
    }
  }

  /**
   * Refuses a folder that {@link RunDirectory.open} would refuse, before any work that costs something; changes
   * nothing. Values that the configuration lacks so far (the names `open`) may be anything.
   */
  static async expectOpenable(
    path: string,
    config: RunConfig,
    { resume, overwrite }: Pick<RunDirectoryOptions, "resume" | "overwrite">,
    open: readonly string[],
  ): Promise<void> {
    expectFreeFolder(path);
    if (!resume && !overwrite) await expectReplaceable(path, config, { unknown: open });
    if (resume && hasCheckpoint(path)) await expectResumable(path, config, { free: new Set(open) });
  }

  /** Refuses to write (`IN_USE`) if another host has taken the folder over. */
  expectHeld(): void {
    this.#lock.expectHeld();
  }

  /** Replaces `metrics.jsonl` once the run is known to proceed; updates `config.json` if the run became longer. */
  async writeMetrics(lines: readonly unknown[]): Promise<void> {
    if (this.#extended !== null) {
      await writeConfig(this.path, this.#extended.config);
      this.#extended.note();
    }
    await writeWhole(join(this.path, METRICS), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }

  /** Adds a line to `metrics.jsonl`. */
  appendMetrics(line: unknown): void {
    this.expectHeld();
    const file = join(this.path, METRICS);
    try {
      appendFileSync(file, `${JSON.stringify(line)}\n`);
    } catch (error) {
      throw ioError("write", file, error);
    }
  }

  /** Writes weights as `NAME.pth` and `NAME.safetensors`, the latter with metadata; returns the paths. */
  async writeWeights(state: StateDict, name: string, metadata: Readonly<Record<string, string>>): Promise<string[]> {
    this.expectHeld();
    const [pth, safetensors] = [".pth", ".safetensors"].map((extension) => join(this.path, name + extension));
    await save(state, pth);
    await save(state, safetensors, { metadata });
    return [pth, safetensors];
  }

  /** Waits for pending writes and releases the lock. */
  async close(): Promise<void> {
    // Its failure has already ended the run, or another failure has.
    await this.checkpoints.written().catch(() => {});
    this.#lock.release();
  }

  async #resume(config: RunConfig, onNote: (text: string) => void): Promise<FoundCheckpoint | null> {
    const checkpoint = await this.checkpoints.newest(({ message }) => onNote(`${message}: taking the one before`));
    if (checkpoint === null) {
      onNote(`${this.path}: ${NOTHING_TO_RESUME}`);
      return null;
    }
    const before = await readFolderConfig(join(this.path, CONFIG));
    const changes = changesOf(before, config);
    if (changes.length === 0) return checkpoint;
    if (canGoOn(before, config)) {
      const { epochs } = config;
      const extended = [...((before.extended as unknown[] | undefined) ?? []), { epochs: before.epochs }];
      const text = `goes on to epoch ${epochs} instead of ${before.epochs}, by the schedule of ${epochs} from here on`;
      this.#extended = { config: { ...config, extended }, note: () => onNote(`${this.path}: ${text}`) };
      return checkpoint;
    }
    return refuseOther(this.path, before, config);
  }

  async #begin(config: RunConfig): Promise<void> {
    this.checkpoints.remove();
    try {
      rmSync(join(this.path, METRICS), { force: true });
    } catch (error) {
      throw ioError("write", this.path, error);
    }
    await writeConfig(this.path, config);
  }
}
