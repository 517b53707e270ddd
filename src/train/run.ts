import { setImmediate } from "node:timers/promises";
import type { FoundCheckpoint } from "../checkpoint/index.js";
import type { EpochBatches } from "../data/loader.js";
import { DataLoader } from "../data/loader.js";
import { DistilleryError } from "../errors.js";
import type { EpochRecord } from "../log/epoch_record.js";
import { Modes } from "../nn/modes.js";
import { AdamW } from "../optim/adamw.js";
import type { LRScheduler } from "../optim/lr_scheduler.js";
import { emptyCache, withArena } from "../tensor/buffer_pool.js";
import { currentGenerator, Generator, withGenerator } from "../tensor/random.js";
import { isBetter, keepBest } from "./best.js";
import { configOf } from "./run_config.js";
import { RunFiles } from "./run_files.js";
import { expectSetup, type RunResult, type RunSetup, type StepResult } from "./run_setup.js";
import { schedulerOf } from "./scheduler.js";
import { type RunState, restore } from "./snapshot.js";
import { Validator } from "./validate.js";

/**
 * What every training loop needs around its steps: optimizer, schedule and batches, a random stream of its own, turns
 * for the event loop, abortion, metrics and checkpoints. The loop itself stays with `distill` and `trainTeacher`.
 */
export class TrainingRun {
  readonly optimizer: AdamW;
  readonly scheduler: LRScheduler;
  /** The batches of the epoch that runs. */
  batches!: EpochBatches;
  readonly #setup: RunSetup;
  readonly #state: RunState;
  readonly #loader: DataLoader;
  readonly #modes: Modes;
  readonly #validator: Validator | null;
  #files!: RunFiles;
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
    expectSetup(setup);
    const run = new TrainingRun(setup);
    const { files, checkpoint } = await RunFiles.open(setup.controls, () => configOf(setup, run.#state.generator));
    run.#files = files;
    try {
      if (checkpoint !== null) run.#resume(checkpoint);
      await files.begin(checkpoint && run.scheduler.lastStep, run.#state.position.history);
      return run;
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
    const { lastStep } = this.scheduler;
    if (this.#files.isDue(lastStep, null)) await this.#files.checkpoint(lastStep, this.#state);
    await setImmediate();
    if (this.#setup.controls.signal?.aborted) await this.#stop();
    return true;
  }

  /** Makes a step: `body` gets the number of the batch. Its arrays are used again in the next step. */
  step(body: (batch: number) => StepResult): void {
    const { position, generator } = this.#state;
    const start = performance.now();
    const inPlace = () => this.#modes.during(() => withGenerator(generator, () => body(position.step)));
    const { losses, gradNorm } = this.#placed(() => withArena(inPlace));
    position.step += 1;
    position.seconds += (performance.now() - start) / 1000;
    for (const [name, value] of Object.entries(losses)) position.sums[name] = (position.sums[name] ?? 0) + value;
    const [step, steps] = [this.scheduler.lastStep, this.scheduler.totalSteps];
    const epoch = position.epoch + 1;
    const [lr] = this.scheduler.getLastLr();
    this.#setup.controls.onStep?.({
      epoch,
      step,
      steps,
      metrics: losses,
      lr,
      samplesPerSecond: this.#speed(),
      gradNorm,
    });
  }

  /** Closes the epoch, after a look at the validation set: its record goes to the metrics, the checkpoint and `onEpoch`. */
  async endEpoch(): Promise<void> {
    const { position, model } = this.#state;
    const { metrics, ...rest } = this.#record();
    const record = { ...rest, metrics: { ...metrics, ...(await this.#validator?.validate(model)) } };
    if (isBetter(record.metrics, this.#state.best)) this.#state.best = keepBest(record, model);
    position.history.push(record);
    Object.assign(position, { epoch: record.epoch, step: 0, seconds: 0, sums: {} });
    this.#state.order = null;
    await this.#files.epoch(record);
    const { lastStep } = this.scheduler;
    if (this.#files.isDue(lastStep, record.epoch)) await this.#files.checkpoint(lastStep, this.#state);
    await this.#setup.controls.onEpoch?.(record);
  }

  /** Writes the weights under a name, the best ones under NAME_best, and marks the run as finished. */
  async finish(name: string): Promise<RunResult> {
    const { model, position, generator, best } = this.#state;
    const { data } = this.#setup;
    const files = await this.#files.weights(model, model.stateDict(), name, data);
    if (best !== null) files.push(...(await this.#files.weights(model, best.state, `${name}_best`, data)));
    await this.#files.checkpoint(this.scheduler.lastStep, this.#state);
    await this.#files.written();
    this.#stream.copyFrom(generator);
    emptyCache();
    const result = { history: position.history, files, best, stoppedEarly: this.#outOfPatience };
    await this.#setup.controls.onEnd?.(result);
    return result;
  }

  /** Lets what is being written come to its end: afterwards nothing in the folder changes. */
  async close(): Promise<void> {
    await this.#files.close();
  }

  /** Whether so many epochs brought nothing better that the run ends. */
  get #outOfPatience(): boolean {
    const { position, best } = this.#state;
    const { patience } = this.#setup.options;
    return patience !== null && best !== null && position.epoch - best.epoch >= patience;
  }

  #resume(checkpoint: FoundCheckpoint): void {
    const { onNote, out } = this.#setup.controls;
    const { position } = this.#state;
    const { epochs } = this.#setup.options;
    const batches = restore(this.#state, checkpoint, { file: checkpoint.file, loader: this.#loader, epochs });
    if (batches !== null) this.batches = batches;
    this.scheduler.restore(position.epoch * this.#loader.length + position.step);
    if (this.isFinished) onNote?.(`${out}: this run is finished`);
    else onNote?.(`${out}: resumed at epoch ${position.epoch + 1} of ${epochs}, step ${position.step + 1}`);
  }

  async #stop(): Promise<never> {
    const { epoch, step } = this.#state.position;
    const { out } = this.#setup.controls;
    this.#stream.copyFrom(this.#state.generator);
    await this.#files.checkpoint(this.scheduler.lastStep, this.#state);
    await this.#files.written();
    const place = `stopped in epoch ${epoch + 1} of ${this.#setup.options.epochs}, after step ${step} of ${this.batches.length}`;
    const rest = out === undefined ? "" : `; its state is saved in ${out}: the same command with --resume goes on`;
    throw new DistilleryError("ABORTED", place + rest, { cause: this.#setup.controls.signal?.reason });
  }

  #record(): EpochRecord {
    const { position } = this.#state;
    const { sums, seconds, step } = position;
    const { options } = this.#setup;
    const means = Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / step]));
    return {
      epoch: position.epoch + 1,
      epochs: options.epochs,
      metrics: means,
      lr: this.scheduler.getLastLr()[0],
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
