import { appendFileSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { ioError, readWhole, writeWhole } from "../files/index.js";
import { native } from "../native.js";
import type { StateDict } from "../nn/state_dict.js";
import { CheckpointFiles, type FoundCheckpoint } from "./checkpoint_files.js";
import { save } from "./save.js";

/** What decides a run's numbers, as `config.json` keeps it: equal for two runs that end with the same bits. */
export type RunConfig = Readonly<Record<string, unknown>>;

/** How a folder is opened for a run. */
interface RunDirectoryOptions {
  /** Whether to continue the run in the folder. */
  resume: boolean;
  /** How many checkpoints are kept. */
  keep: number;
  /** Called with notes for the user. */
  onNote: (text: string) => void;
}

const CONFIG = "config.json";
const METRICS = "metrics.jsonl";
const LOCK = "run.lock";

/**
 * The folder of one run: `config.json`, `metrics.jsonl` with a line an epoch, the checkpoints to resume from, and the
 * weights that it ended with. Each file is written whole or not at all, but `metrics.jsonl`, which grows. One run at a
 * time: the folder is locked by the operating system, which lets go when the process ends, however it ends.
 */
export class RunDirectory {
  readonly #lock: { release(): void };

  private constructor(
    readonly path: string,
    readonly checkpoints: CheckpointFiles,
    lock: { release(): void },
  ) {
    this.#lock = lock;
  }

  /**
   * Opens a folder for a run, with the checkpoint to continue from, or null if the run starts from its beginning: then
   * the checkpoints and metrics of an earlier run are removed.
   *
   * @throws DistilleryError `IN_USE` if another run has the folder, `BAD_CONFIG` that names what differs if the run to
   * be resumed was started with another configuration, `BAD_CHECKPOINT` if all its checkpoints are damaged.
   */
  static async open(
    path: string,
    config: RunConfig,
    { resume, keep, onNote }: RunDirectoryOptions,
  ): Promise<{ directory: RunDirectory; checkpoint: FoundCheckpoint | null }> {
    const directory = new RunDirectory(path, new CheckpointFiles(path, keep), lockFolder(path));
    try {
      const checkpoint = resume ? await directory.#resume(config, onNote) : null;
      if (checkpoint === null) await directory.#begin(config);
      return { directory, checkpoint };
    } catch (error) {
      await directory.close();
      throw error;
    }
  }

  /** Replaces `metrics.jsonl`. */
  async writeMetrics(lines: readonly unknown[]): Promise<void> {
    await writeWhole(join(this.path, METRICS), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }

  /** Adds a line to `metrics.jsonl`. */
  appendMetrics(line: unknown): void {
    const file = join(this.path, METRICS);
    try {
      appendFileSync(file, `${JSON.stringify(line)}\n`);
    } catch (error) {
      throw ioError("write", file, error);
    }
  }

  /** Writes weights as `NAME.pth` and `NAME.safetensors`, which keeps the metadata too; gives the paths. */
  async writeWeights(state: StateDict, name: string, metadata: Readonly<Record<string, string>>): Promise<string[]> {
    const [pth, safetensors] = [".pth", ".safetensors"].map((extension) => join(this.path, name + extension)) as [
      string,
      string,
    ];
    await save(state, pth);
    await save(state, safetensors, { metadata });
    return [pth, safetensors];
  }

  /** Waits for pending writes and releases the lock. */
  async close(): Promise<void> {
    // Its failure has ended the run already, or another one has.
    await this.checkpoints.written().catch(() => {});
    this.#lock.release();
  }

  async #resume(config: RunConfig, onNote: (text: string) => void): Promise<FoundCheckpoint | null> {
    const checkpoint = await this.checkpoints.newest(({ message }) => onNote(`${message}: taking the one before`));
    if (checkpoint === null) onNote(`${this.path}: nothing to resume, starting from the beginning`);
    else refuseOther(this.path, await readConfig(join(this.path, CONFIG)), config);
    return checkpoint;
  }

  async #begin(config: RunConfig): Promise<void> {
    this.checkpoints.remove();
    try {
      rmSync(join(this.path, METRICS), { force: true });
    } catch (error) {
      throw ioError("write", this.path, error);
    }
    await writeWhole(join(this.path, CONFIG), `${JSON.stringify(config, null, 2)}\n`);
  }
}

/** Makes a folder and locks it for one run at a time; `IN_USE` if another one has it. */
export function lockFolder(path: string): { release(): void } {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    throw ioError("write", path, error);
  }
  const lock = native.lockFile(join(path, LOCK));
  if (lock !== null) return lock;
  throw new DistilleryError(
    "IN_USE",
    `${path}: another run is writing there: wait for its end or choose another folder`,
  );
}

async function readConfig(file: string): Promise<Record<string, unknown>> {
  const text = Buffer.from(await readWhole(file)).toString();
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw new DistilleryError("BAD_CONFIG", `${file}: is not JSON`, { cause: error });
  }
  if (typeof config === "object" && config !== null) return config as Record<string, unknown>;
  throw new DistilleryError("BAD_CONFIG", `${file}: expected a JSON object, got ${show(config)}`);
}

function refuseOther(path: string, before: Record<string, unknown>, now: RunConfig): void {
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  // Paths may change: the hashes beside them say whether the content is the same.
  names.delete("userOptions");
  const differing = [...names].filter((name) => JSON.stringify(before[name]) !== JSON.stringify(now[name]));
  if (differing.length === 0) return;
  // The options that the user wrote, if those explain the rest.
  const said = differing.filter((name) => !name.endsWith("Hash"));
  const changes = (said.length > 0 ? said : differing).map(
    (name) => `${name} was ${JSON.stringify(before[name])}, is ${JSON.stringify(now[name])}`,
  );
  throw new DistilleryError(
    "BAD_CONFIG",
    `${path}: can't resume a run with another configuration: ${changes.join("; ")}`,
  );
}
