import { appendFileSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { ioError, readWhole, writeWhole } from "../files/index.js";
import type { StateDict } from "../nn/state_dict.js";
import { decodeSafetensors, encodeSafetensors, type Safetensors } from "./safetensors.js";
import { save } from "./save.js";

/** What decides a run's numbers, as `config.json` keeps it: equal for two runs that end with the same bits. */
export type RunConfig = Readonly<Record<string, unknown>>;

const CONFIG = "config.json";
const METRICS = "metrics.jsonl";
const CHECKPOINT = "checkpoint.safetensors";

/**
 * The folder of one run: `config.json`, `metrics.jsonl` with a line an epoch, `checkpoint.safetensors` to resume from,
 * and the weights that it ended with. Each file is written whole or not at all, but `metrics.jsonl`, which grows.
 */
export class RunDirectory {
  #writing: Promise<void> = Promise.resolve();

  private constructor(readonly path: string) {}

  /** Makes the folder for a new run; what an earlier run left there goes. */
  static async create(path: string, config: RunConfig): Promise<RunDirectory> {
    try {
      mkdirSync(path, { recursive: true });
      for (const file of [CHECKPOINT, METRICS]) rmSync(join(path, file), { force: true });
    } catch (error) {
      throw ioError("write", path, error);
    }
    await writeWhole(join(path, CONFIG), `${JSON.stringify(config, null, 2)}\n`);
    return new RunDirectory(path);
  }

  /**
   * Takes up the run in a folder, with its newest checkpoint; null where there is none to go on from. `BAD_CONFIG` that
   * names what differs where it was started with another configuration.
   */
  static async resume(
    path: string,
    config: RunConfig,
  ): Promise<{ directory: RunDirectory; checkpoint: Safetensors; file: string } | null> {
    const file = join(path, CHECKPOINT);
    const bytes = await readWhole(file).catch((error: unknown) => {
      if (error instanceof DistilleryError && error.code === "NOT_FOUND") return null;
      throw error;
    });
    if (bytes === null) return null;
    refuseOther(path, await readConfig(join(path, CONFIG)), config);
    return { directory: new RunDirectory(path), checkpoint: decodeSafetensors(bytes, file), file };
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

  /** Starts to write a checkpoint of the values at the time of the call; {@link RunDirectory.written} waits for it. */
  writeCheckpoint(tensors: StateDict, metadata: Readonly<Record<string, string>>): Promise<void> {
    const bytes = encodeSafetensors(tensors, metadata);
    const earlier = this.#writing;
    this.#writing = earlier.then(() => writeWhole(join(this.path, CHECKPOINT), bytes));
    // Whoever waits learns of a failure; until then it is not one that nobody handles.
    this.#writing.catch(() => {});
    return earlier;
  }

  /** Waits for the checkpoint that is being written. */
  written(): Promise<void> {
    return this.#writing;
  }

  /** Writes weights as `NAME.pth` and `NAME.safetensors`; gives the paths. */
  async writeWeights(state: StateDict, name: string): Promise<string[]> {
    const files = [".pth", ".safetensors"].map((extension) => join(this.path, name + extension));
    for (const file of files) await save(state, file);
    return files;
  }
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
  const differing = [...names].filter((name) => JSON.stringify(before[name]) !== JSON.stringify(now[name]));
  if (differing.length === 0) return;
  const changes = differing.map(
    (name) => `${name} was ${JSON.stringify(before[name])}, is ${JSON.stringify(now[name])}`,
  );
  throw new DistilleryError(
    "BAD_CONFIG",
    `${path}: can't resume a run with another configuration: ${changes.join("; ")}`,
  );
}
