import { setImmediate } from "node:timers/promises";
import { type FoundCheckpoint, RunDirectory } from "../checkpoint/index.js";
import { expectInteger, expectShape } from "../checks.js";
import { DataLoader } from "../data/data_loader.js";
import type { Dataset } from "../data/dataset.js";
import type { Epoch } from "../data/epoch.js";
import { describeInputs, INPUTS_KEY } from "../data/inputs/inputs.js";
import { DistilleryError } from "../errors.js";
import type { EpochRecord } from "../log/epoch_line.js";
import type { MetricsLog } from "../log/metrics_log.js";
import { type Mode, Modes } from "../nn/modes.js";
import type { Module } from "../nn/module.js";
import type { StateDict } from "../nn/state_dict.js";
import { AdamW } from "../optim/adamw.js";
import { releasePool, scoped } from "../tensor/memory.js";
import { currentGenerator, Generator, withGenerator } from "../tensor/random.js";
import { type BestWeights, isBetter, keepBest } from "./best.js";
import type { RunControls } from "./controls.js";
import type { ResolvedTraining } from "./options.js";
import { configOf } from "./run_config.js";
import { type Scheduler, schedulerOf } from "./scheduler.js";
import { capture, type RunState, restore } from "./snapshot.js";
import { Validator } from "./validate.js";

/** What a training loop is made of. */
export interface RunSetup {
  command: string;
  model: Module;
  /** A module beside it whose buffers move with the run. */
  moving: Module | null;
  /** The networks' modes in a step; between steps they are in those of whoever called. */
  modes: readonly Mode[];
  data: Dataset;
  /** Looked at after each epoch; null: none. */
  validation: Dataset | null;
  /** Whom the validation compares with, and whether it stays the same. */
  teacher: { module: Module; frozen: boolean } | null;
  options: ResolvedTraining;
  /** More that decides the numbers, for `config.json`; asked for only where there is one. */
  config: () => Readonly<Record<string, unknown>>;
  controls: RunControls;
}

/** What a whole run gives. */
export interface RunResult {
  /** A record an epoch, those from before it was resumed included. */
  history: EpochRecord[];
  /** The files of weights that were written: the last ones, and the best on the validation set where there is one. */
  files: string[];
  /** The epoch that did best on the validation set, with its weights; null without one. */
  best: BestWeights | null;
  /** Whether it ended before its last epoch, because its patience did. */
  stoppedEarly: boolean;
}

/** What a step gives: its loss, the loss's parts where there are any, and the gradient's norm before it was clipped. */
export interface StepResult {
  losses: { loss: number; soft?: number; hard?: number };
  gradNorm: number;
}

const LEAST_SECONDS_BETWEEN_CHECKPOINTS = 1;

/**
 * What every training loop needs around its steps: optimizer, schedule and batches, a random stream of its own, turns
 * for the event loop, abortion, metrics and checkpoints. The loop itself stays with `distill` and `trainTeacher`.
 */
export class TrainingRun {
  readonly optimizer: AdamW;
  readonly scheduler: Scheduler;
  /** The batches of the epoch that runs. */
  batches!: Epoch;
  readonly #setup: RunSetup;
  readonly #state: RunState;
  readonly #loader: DataLoader;
  readonly #modes: Modes;
  readonly #validator: Validator | null;
  #directory: RunDirectory | null = null;
  #checkpointTime = performance.now();
  /** The step after which the newest checkpoint was taken. */
  #savedStep: number | null = null;
  /** The stream that the run took its own from, and that goes on where the run ends. */
  readonly #stream = currentGenerator();

  private constructor(setup: RunSetup) {
    const { model, moving, data, options } = setup;
    const { batchSize, shuffle, dropLast, lr, weightDecay } = options;
    this.#setup = setup;
    this.#modes = new Modes(setup.modes);
    this.#loader = new DataLoader(data, { batchSize, shuffle, dropLast });
    this.optimizer = new AdamW(model.parameters(), { lr, weightDecay });
    this.scheduler = schedulerOf(this.optimizer, options, this.#loader.length);
    const generator = new Generator().copyFrom(this.#stream);
    this.#validator = setup.validation && new Validator(setup.validation, setup.teacher, generator);
    this.#state = {
      model,
      moving,
      optimizer: this.optimizer,
      generator,
      order: null,
      position: { epoch: 0, step: 0, sums: {}, seconds: 0, history: [] },
      best: null,
    };
  }

  /** Sets a run up; with `resume`, where its checkpoint says. */
  static async open(setup: RunSetup): Promise<TrainingRun> {
    const { out, resume = false, checkpointEvery = null, keepCheckpoints = 2, onNote = () => {} } = setup.controls;
    if (checkpointEvery !== null) expectInterval(checkpointEvery);
    const keep = expectInteger("keepCheckpoints", keepCheckpoints, 1);
    expectValidation(setup);
    const run = new TrainingRun(setup);
    if (out === undefined) return run.#begin();
    const config = configOf(setup, run.#state.generator);
    const { directory, checkpoint } = await RunDirectory.open(out, config, { resume, keep, onNote });
    run.#directory = directory;
    try {
      if (checkpoint !== null) await run.#resume(checkpoint);
      return await run.#begin();
    } catch (error) {
      await run.close();
      throw error;
    }
  }

  /** Whether no epoch remains, as where a finished run is resumed. */
  get isFinished(): boolean {
    return this.#state.position.epoch >= this.#setup.options.epochs || this.#outOfPatience;
  }

  /** Whether epochs remain; then their next one has begun. */
  nextEpoch(): boolean {
    const { position, generator } = this.#state;
    if (this.isFinished) return false;
    // A run that was stopped before an epoch's first step has drawn its order already.
    if (position.step === 0 && this.#state.order === null) {
      this.batches = withGenerator(generator, () => this.#loader.epoch());
      this.#state.order = this.batches.order;
    }
    return true;
  }

  /** Whether steps of the epoch remain. Gives the event loop its turn first, and stops the run where a signal says so. */
  async nextStep(): Promise<boolean> {
    if (this.#state.position.step >= this.batches.length) return false;
    if (this.#checkpointDue(false)) await this.#checkpoint();
    await setImmediate();
    if (this.#setup.controls.signal?.aborted) await this.#stop();
    return true;
  }

  /** Makes a step: `body` gets the number of the batch. Its arrays are used again in the next step. */
  step(body: (batch: number) => StepResult): void {
    const { position, generator } = this.#state;
    const start = performance.now();
    const inPlace = () => this.#modes.during(() => withGenerator(generator, () => body(position.step)));
    const { losses, gradNorm } = this.#placed(() => scoped(inPlace));
    position.step += 1;
    position.seconds += (performance.now() - start) / 1000;
    for (const [name, value] of Object.entries(losses)) position.sums[name] = (position.sums[name] ?? 0) + value;
    const [step, steps] = [this.scheduler.lastStep, this.scheduler.totalSteps];
    const epoch = position.epoch + 1;
    const { lr } = this.optimizer;
    this.#setup.controls.onStep?.({ epoch, step, steps, ...losses, lr, samplesPerSecond: this.#speed(), gradNorm });
  }

  /** Closes the epoch, after a look at the validation set: its record goes to the metrics, the checkpoint and `onEpoch`. */
  async endEpoch(): Promise<void> {
    const { position, model } = this.#state;
    const record = { ...this.#record(), ...(await this.#validator?.validate(model)) };
    if (isBetter(record, this.#state.best)) this.#state.best = keepBest(record, model);
    position.history.push(record);
    Object.assign(position, { epoch: record.epoch, step: 0, seconds: 0, sums: {} });
    this.#state.order = null;
    this.#directory?.appendMetrics(record);
    for (const log of this.#logs) await log.epoch(record);
    if (this.#checkpointDue(true)) await this.#checkpoint();
    await this.#setup.controls.onEpoch?.(record);
  }

  /** Writes the weights under a name, the best ones under NAME_best, and marks the run as finished. */
  async finish(name: string): Promise<RunResult> {
    const { model, position, generator, best } = this.#state;
    const metadata = { [INPUTS_KEY]: JSON.stringify(describeInputs(this.#setup.data)) };
    const write = async (state: StateDict, as: string) =>
      (await this.#directory?.writeWeights(state, as, metadata)) ?? [];
    const files = await write(model.stateDict(), name);
    if (best !== null) files.push(...(await write(best.state, `${name}_best`)));
    await this.#checkpoint();
    await this.#directory?.checkpoints.written();
    this.#stream.copyFrom(generator);
    releasePool();
    const result = { history: position.history, files, best, stoppedEarly: this.#outOfPatience };
    await this.#setup.controls.onEnd?.(result);
    return result;
  }

  /** Lets what is being written come to its end: afterwards nothing in the folder changes. */
  async close(): Promise<void> {
    const closed = await Promise.allSettled(this.#logs.map(async (log) => log.close()));
    await this.#directory?.close();
    for (const end of closed) if (end.status === "rejected") throw end.reason;
  }

  get #logs(): readonly MetricsLog[] {
    return this.#setup.controls.logs ?? [];
  }

  /** Whether so many epochs brought nothing better that the run ends. */
  get #outOfPatience(): boolean {
    const { position, best } = this.#state;
    const { patience } = this.#setup.options;
    return patience !== null && best !== null && position.epoch - best.epoch >= patience;
  }

  async #begin(): Promise<this> {
    for (const log of this.#logs) await log.begin(this.#state.position.history);
    return this;
  }

  async #resume(checkpoint: FoundCheckpoint): Promise<void> {
    const { onNote, out } = this.#setup.controls;
    const { position } = this.#state;
    const { epochs } = this.#setup.options;
    const batches = restore(this.#state, checkpoint, { file: checkpoint.file, loader: this.#loader, epochs });
    if (batches !== null) this.batches = batches;
    this.scheduler.restore(position.epoch * this.#loader.length + position.step);
    this.#savedStep = this.scheduler.lastStep;
    await this.#directory?.writeMetrics(position.history);
    if (this.isFinished) onNote?.(`${out}: this run is finished`);
    else onNote?.(`${out}: resumed at epoch ${position.epoch + 1} of ${epochs}, step ${position.step + 1}`);
  }

  async #stop(): Promise<never> {
    const { epoch, step } = this.#state.position;
    const { out } = this.#setup.controls;
    this.#stream.copyFrom(this.#state.generator);
    if (this.#savedStep !== this.scheduler.lastStep) await this.#checkpoint();
    await this.#directory?.checkpoints.written();
    const place = `stopped in epoch ${epoch + 1} of ${this.#setup.options.epochs}, after step ${step} of ${this.batches.length}`;
    const rest = out === undefined ? "" : `; its state is saved in ${out}: the same command with --resume goes on`;
    throw new DistilleryError("ABORTED", place + rest, { cause: this.#setup.controls.signal?.reason });
  }

  #checkpointDue(epochEnded: boolean): boolean {
    const { checkpointEvery } = this.#setup.controls;
    if (typeof checkpointEvery === "object") {
      return this.scheduler.lastStep - (this.#savedStep ?? 0) >= checkpointEvery.steps;
    }
    if (!epochEnded) return false;
    if (checkpointEvery !== undefined) return this.#state.position.epoch % checkpointEvery === 0;
    return performance.now() - this.#checkpointTime >= LEAST_SECONDS_BETWEEN_CHECKPOINTS * 1000;
  }

  async #checkpoint(): Promise<void> {
    if (this.#directory === null) return;
    const { tensors, metadata } = capture(this.#state);
    this.#checkpointTime = performance.now();
    this.#savedStep = this.scheduler.lastStep;
    await this.#directory.checkpoints.write(tensors, metadata);
  }

  #record(): EpochRecord {
    const { position } = this.#state;
    const { sums, seconds, step } = position;
    const { options } = this.#setup;
    const means = Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / step]));
    return {
      epoch: position.epoch + 1,
      epochs: options.epochs,
      ...(means as StepResult["losses"]),
      lr: this.optimizer.lr,
      seconds,
      samplesPerSecond: this.#speed(),
    };
  }

  /** Examples a second, of the epoch so far. */
  #speed(): number {
    const { data, options } = this.#setup;
    const { step, seconds } = this.#state.position;
    return Math.min(data.length, step * options.batchSize) / seconds;
  }

  /** Adds to an error where the run was. */
  #placed<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      if (!(error instanceof DistilleryError)) throw error;
      const { epoch, step } = this.#state.position;
      const place = `epoch ${epoch + 1}, step ${step + 1} of ${this.batches.length}`;
      throw new DistilleryError(error.code, `${place}: ${error.message}`, { cause: error });
    }
  }
}

function expectValidation({ data, validation, options }: RunSetup): void {
  if (validation === null) {
    if (options.patience === null) return;
    throw new DistilleryError("BAD_ARGUMENT", "patience: needs a validation set to tell which epoch is better");
  }
  expectShape("validation", [validation.features, validation.classes], [data.features, data.classes]);
}

function expectInterval(checkpointEvery: number | { steps: number }): void {
  if (typeof checkpointEvery === "object") expectInteger("checkpointEvery.steps", checkpointEvery.steps, 1);
  else expectInteger("checkpointEvery", checkpointEvery, 1);
}
