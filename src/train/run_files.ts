import { type FoundCheckpoint, isFileOfRun, type RunConfig, RunDirectory } from "../checkpoint/index.js";
import { argumentError } from "../checks.js";
import { type EpochRecord, flattenRecord } from "../log/epoch_record.js";
import type { MetricsLog } from "../log/metrics_log.js";
import { weightsMetadata } from "../models/create_network.js";
import type { TrainingRecord } from "../models/training_record.js";
import type { StateDict } from "../nn/state_dict.js";
import { KEPT_CHECKPOINTS, type RunControls } from "./controls.js";
import type { Part } from "./trainer_input.js";
import { runState, type TrainerState } from "./trainer_state.js";

const MIN_SECONDS_BETWEEN_CHECKPOINTS = 1;

/** The files of a run: metrics, checkpoints at their intervals, and the final weights; none without a folder. */
export class RunFiles {
  #checkpointTime = performance.now();
  /** The step of the newest checkpoint. */
  #savedStep: number | null = null;

  private constructor(
    private readonly directory: RunDirectory | null,
    private readonly every: RunControls["checkpointEvery"],
    private readonly logs: readonly MetricsLog[],
  ) {}

  /**
   * Refuses what {@link RunFiles.open} would refuse; changes nothing. The configuration lacks the names in `open` so
   * far.
   */
  static async expectOpenable(
    { out, resume = false, overwrite = false, logs = [] }: RunControls,
    config: () => RunConfig,
    open: readonly string[],
  ): Promise<void> {
    if (out === undefined) return;
    expectOther(logs, out);
    await RunDirectory.expectOpenable(out, config(), { resume, overwrite }, open);
  }

  /** Opens the files; returns the checkpoint to resume from, or null if the run starts from the beginning. */
  static async open(
    controls: RunControls,
    config: () => RunConfig,
    /** Of the weights. */
    names: readonly string[],
  ): Promise<{ files: RunFiles; checkpoint: FoundCheckpoint | null }> {
    const { out, resume = false, overwrite = false, checkpointEvery, logs = [], onNote = () => {} } = controls;
    if (out === undefined) return { files: new RunFiles(null, checkpointEvery, logs), checkpoint: null };
    expectOther(logs, out);
    const options = { resume, overwrite, names, keep: controls.keepCheckpoints || KEPT_CHECKPOINTS, onNote };
    const { directory, checkpoint } = await RunDirectory.open(out, config(), options);
    return { files: new RunFiles(directory, checkpointEvery, logs), checkpoint };
  }

  /** Starts the metrics; a resumed run passes the step of its checkpoint and the epochs before it. */
  async begin(resumedAt: number | null, history: readonly EpochRecord[]): Promise<void> {
    this.#savedStep = resumedAt;
    if (resumedAt !== null) await this.directory?.writeMetrics(history.map(flattenRecord));
    for (const log of this.logs) await log.begin(history);
  }

  /** Adds an epoch to the metrics. */
  async epoch(record: EpochRecord): Promise<void> {
    this.directory?.appendMetrics(flattenRecord(record));
    for (const log of this.logs) await log.epoch(record);
  }

  /**
   * Whether a checkpoint is due after a step; `epochs` is the number of epochs if one has just ended, otherwise null.
   */
  isDue(step: number, epochs: number | null): boolean {
    if (typeof this.every === "object") return step - (this.#savedStep ?? 0) >= this.every.steps;
    if (epochs === null) return false;
    if (this.every !== undefined) return epochs % this.every === 0;
    return performance.now() - this.#checkpointTime >= MIN_SECONDS_BETWEEN_CHECKPOINTS * 1000;
  }

  /**
   * Starts to write the state after a step, unless it was written already and has not changed since; {@link
   * RunFiles.written} waits for it.
   */
  async checkpoint(step: number, state: TrainerState, { again = false } = {}): Promise<void> {
    if (this.directory === null || (this.#savedStep === step && !again)) return;
    this.directory.expectHeld();
    const { tensors, metadata } = runState(state);
    this.#checkpointTime = performance.now();
    this.#savedStep = step;
    await this.directory.checkpoints.write(tensors, metadata);
  }

  /** Replaces the checkpoints of a finished run by one without the optimizer's state. */
  async checkpointWithoutOptimizer(state: TrainerState): Promise<void> {
    if (this.directory === null) return;
    this.directory.expectHeld();
    const { tensors, metadata } = runState(state, { withOptimizer: false });
    const { checkpoints } = this.directory;
    await checkpoints.write(tensors, metadata);
    await checkpoints.removeOlder();
  }

  async written(): Promise<void> {
    await this.directory?.checkpoints.written();
  }

  /**
   * Writes the weights of a model's parts with their training records, the best ones under NAME_best; returns the
   * files.
   */
  async weights(
    parts: readonly Part[],
    record: TrainingRecord,
    { last, best }: { last: StateDict; best: StateDict | null },
  ): Promise<string[]> {
    const files: string[] = [];
    const write = async (state: StateDict, suffix: string) => {
      for (const part of parts) {
        const metadata = weightsMetadata(part.module, record);
        const written = await this.directory?.writeWeights(stateOf(part, state), part.name + suffix, metadata);
        files.push(...(written ?? []));
      }
    };
    await write(last, "");
    if (best !== null) await write(best, "_best");
    return files;
  }

  /** Waits until everything is written: nothing in the folder changes afterwards. */
  async close(): Promise<void> {
    const closed = await Promise.allSettled(this.logs.map(async (log) => log.close()));
    await this.directory?.close();
    for (const end of closed) if (end.status === "rejected") throw end.reason;
  }
}

/** The state dict of a part, taken from that of the whole model. */
function stateOf({ path }: Part, state: StateDict): StateDict {
  if (path === "") return state;
  const own = Object.entries(state).filter(([key]) => key.startsWith(`${path}.`));
  return Object.fromEntries(own.map(([key, tensor]) => [key.slice(path.length + 1), tensor]));
}

/** Refuses logs that are files of the run itself. */
function expectOther(logs: readonly MetricsLog[], out: string): void {
  for (const [i, { path }] of logs.entries()) {
    if (path === undefined || !isFileOfRun(path, out)) continue;
    throw argumentError(`logs[${i}]`, `${path} is a file of the run itself: give another name`);
  }
}
