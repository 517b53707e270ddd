import { setImmediate } from "node:timers/promises";
import type { Dataset } from "../data/dataset.js";
import type { EpochBatches } from "../data/loader.js";
import { DataLoader } from "../data/loader.js";
import { DistilleryError, isAbort } from "../errors.js";
import type { EpochRecord } from "../log/epoch_record.js";
import { recordFor, recordOf, setRecord } from "../models/training_record.js";
import { Modes } from "../nn/modes.js";
import type { Module } from "../nn/module.js";
import type { ExponentialMovingAverage } from "../optim/ema.js";
import type { LRScheduler } from "../optim/lr_scheduler.js";
import type { Optimizer } from "../optim/optimizer.js";
import { metricsOf } from "../tasks/metrics.js";
import { emptyCache } from "../tensor/buffer_pool.js";
import { bfloat16Unit } from "../tensor/precision.js";
import { Generator, withGenerator } from "../tensor/random.js";
import type { Tensor } from "../tensor/tensor.js";
import { without } from "../without.js";
import { idleBatchNorm } from "./batch_norms.js";
import { closing } from "./closing.js";
import type { RunControls, RunResult } from "./controls.js";
import { changed, claim, Layout } from "./module_layout.js";
import { idlePatience, type ResolvedTraining } from "./options.js";
import type { Ranks } from "./ranks.js";
import { RunFiles } from "./run_files.js";
import { precisionNote } from "./run_precision.js";
import { expectRatesStay, stepsPerEpoch } from "./run_schedule.js";
import { keepStep, keptSteps, newStepTrace } from "./step_trace.js";
import { Step } from "./train_step.js";
import { configOf, madeOf, type TrainerInput, validateInput } from "./trainer_input.js";
import { bestWeights, isBetterEpoch, loadRunState, metricsOfEpoch, type TrainerState } from "./trainer_state.js";
import { Validator } from "./validator.js";

/** The note for a resumed run that has nothing left to do. */
export const RUN_FINISHED = "this run is finished";

/**
 * Everything around the training loop: optimizer, schedule, batches, the run's random stream, yielding to the event
 * loop, abortion, validation, metrics and checkpoints.
 */
export class Trainer {
  readonly model: Module;
  /** How errors name the model. */
  readonly role: "student" | "model";
  readonly data: Dataset;
  readonly options: ResolvedTraining;
  /** Of the model and of the loss's modules. */
  readonly parameters: readonly Tensor[];
  /**
   * The same in groups, each of which is clipped by its own norm: those of each part of the model that the optimizer
   * updates.
   */
  readonly clipGroups: readonly (readonly Tensor[])[];
  readonly #validator: Validator | null;
  readonly #modes: Modes;
  readonly #layout: Layout;
  /** Of the whole run. */
  readonly totalSteps: number;
  /** The rates as the schedule set them, to detect rates that were set by hand since then. */
  #rates: readonly number[];
  /** The metrics of the current group of batches. */
  #group: Record<string, number> = {};

  private constructor(
    private readonly input: TrainerInput,
    readonly optimizer: Optimizer,
    readonly scheduler: LRScheduler,
    private readonly loader: DataLoader,
    private readonly state: TrainerState,
    private readonly files: RunFiles,
    /** The current epoch, if its order is drawn. */
    private epoch: EpochBatches | null,
    /** Releases the parameters and the ranks. */
    private readonly letGo: () => void,
  ) {
    const { model, loss, data, validation, teacher, options } = input;
    this.model = model;
    this.data = data;
    this.options = options;
    this.parameters = optimizer.paramGroups.flatMap(({ params }) => params);
    const moved = new Set(this.parameters);
    this.clipGroups = input.parts?.map(({ module }) => module.parameters().filter((one) => moved.has(one))) ?? [
      this.parameters,
    ];
    this.#modes = new Modes([model, ...Object.values(loss.modules ?? {})].map((module) => [module, true] as const));
    this.role = input.command === "distill" ? "student" : "model";
    this.#layout = new Layout({ [this.role]: model, ...loss.modules });
    this.#rates = scheduler.getLastLr();
    this.totalSteps = options.epochs * stepsPerEpoch(data, options);
    this.#validator = validation && new Validator(validation, teacher, options.precision, input.parts);
  }

  /** Sets a run up; with `resume`, in the state of its checkpoint. */
  static async open(input: TrainerInput): Promise<Trainer> {
    validateInput(input);
    const { model, teacher, data, options, controls, stream } = input;
    const { ranks } = controls;
    // Only the first of several ranks writes.
    const ownControls =
      ranks === undefined || ranks.rank === 0 ? controls : (without(controls, ["out", "logs"]) as RunControls);
    const { batchSize, shuffle, dropLast, accumulate } = options;
    const loader = new DataLoader(data, { batchSize, shuffle, dropLast, order: "randperm" });
    const made = await madeOf(input);
    const { modules, parameters, optimizer, scheduler, average } = made;
    // Before the folder is opened, since that clears it.
    const free = claim(parameters, controls.logs);
    let giveBack: (() => void) | undefined;
    const letGo = () => {
      free();
      giveBack?.();
    };
    let files: RunFiles | null = null;
    try {
      giveBack = ranks?.take();
      // Each unit adds in its own order.
      const unit = options.precision === "bfloat16" && { bfloat16Unit: bfloat16Unit() };
      const expectSame = () => ranks?.expectSame({ ...configOf(input, made), ...unit });
      await expectSame();
      if (input.preparation) {
        await RunFiles.expectOpenable(ownControls, () => configOf(input, made), input.preparation.gives);
        await input.preparation.run(ownControls);
        // The hashes that the preparation adds are compared too.
        await expectSame();
      }
      const progress = { epoch: 0, step: 0, sums: {}, seconds: 0, history: [], steps: newStepTrace(), ...unit };
      const state: TrainerState = {
        model,
        modules,
        optimizer,
        average,
        progress,
        generator: stream.generator,
        teacher: teacher?.state?.() ?? {},
        order: null,
        best: null,
      };
      const names = (input.parts ?? [input]).map(({ name }) => name);
      const opened = await RunFiles.open(ownControls, () => configOf(input, made), names);
      files = opened.files;
      const checkpoint = ranks === undefined ? opened.checkpoint : await ranks.checkpoint(opened.checkpoint);
      let epoch: EpochBatches | null = null;
      if (checkpoint !== null) {
        epoch = loadRunState(state, checkpoint, { file: checkpoint.file, loader, epochs: options.epochs });
        const { epoch: epochs, step } = state.progress;
        scheduler.restore(epochs * stepsPerEpoch(data, options) + Math.floor(step / accumulate));
        for (const [i, lr] of state.progress.rates?.entries() ?? []) optimizer.paramGroups[i].lr = lr;
      }
      await files.begin(checkpoint && scheduler.lastStep, state.progress.history);
      for (const module of [model, ...(input.parts ?? []).map((part) => part.module)])
        setRecord(module, recordFor(data));
      const trainer = new Trainer(input, optimizer, scheduler, loader, state, files, epoch, letGo);
      for (const idle of [idleBatchNorm(model, options), idlePatience(options)]) {
        if (idle !== null) controls.onNote?.(idle);
      }
      if (options.precision === "bfloat16") controls.onNote?.(precisionNote(model));
      if (checkpoint !== null) trainer.#noteResumption();
      return trainer;
    } catch (error) {
      return closing(() => Promise.reject(error), [() => files?.close(), letGo], controls.onNote);
    }
  }

  /** The averaged weights that the loop updates; null without an average. */
  get average(): ExponentialMovingAverage | null {
    return this.state.average;
  }

  /** The modules whose parameters a loss may compute with: what is trained, and the teacher. */
  get reachable(): readonly Module[] {
    const { model, loss, teacherNetwork } = this.input;
    return [model, ...Object.values(loss.modules ?? {}), ...(teacherNetwork ? [teacherNetwork.module] : [])];
  }

  /** The processes that share the run; null: it is alone. */
  get ranks(): Ranks | null {
    return this.input.controls.ranks ?? null;
  }

  /** Whether no epoch remains: all are done, or the run was stopped early. */
  get isFinished(): boolean {
    return this.state.progress.epoch >= this.options.epochs || this.#isOutOfPatience;
  }

  /** The present epoch, from 1. */
  get epochNumber(): number {
    return this.state.progress.epoch + 1;
  }

  /**
   * Makes the remaining steps of all epochs, one batch each. Between steps the event loop gets a turn, checkpoints are
   * written, and the run stops if its signal is aborted; after each epoch it is validated and recorded.
   */
  async eachStep(body: (step: Step) => void | Promise<void>): Promise<void> {
    const { progress } = this.state;
    const { accumulate, precision } = this.options;
    const { controls, stream } = this.input;
    const { generator } = stream;
    const drawn = new Generator();
    const run = { accumulate, precision, modes: this.#modes, stream, layout: this.#layout };
    while (!this.isFinished) {
      const epoch = this.#beginEpoch();
      const place = () => this.#place(epoch);
      while (progress.step < epoch.length) {
        await this.#betweenSteps(progress.step % accumulate === 0, epoch);
        const start = performance.now();
        const known = progress.step === 0 ? null : Object.keys(progress.sums);
        const step = new Step({ epoch, index: progress.step, known, place, run });
        drawn.copyFrom(generator);
        try {
          const pending = body(step);
          if (pending !== undefined) await pending;
        } catch (error) {
          // If it is stopped while waiting for its teacher, the step has changed nothing but the stream.
          const isStopped = isAbort(error) && controls.signal?.aborted === true;
          if (!isStopped || controls.ranks !== undefined || !step.isFirstOfGroup) throw error;
          generator.copyFrom(drawn);
          await this.#stop(epoch);
        } finally {
          step.release();
        }
        progress.seconds += (performance.now() - start) / 1000;
        progress.step += 1;
        const answer = this.#recordStep(step);
        // A promise, or what counts as one.
        if (typeof answer === "object") await answer;
      }
      await this.#endEpoch();
    }
  }

  /** Writes the weights, the best ones under NAME_best, and marks the run as finished. */
  async finish(): Promise<RunResult> {
    const { model, average, progress, best } = this.state;
    const { data, name, controls, stream, parts = [{ name, path: "", module: model }] } = this.input;
    const record = recordOf(model) ?? recordFor(data);
    const last = average?.modelState() ?? model.stateDict();
    const files = await this.files.weights(parts, record, { last, best: best?.state ?? null });
    if (controls.keepCheckpoints === 0) await this.files.checkpointWithoutOptimizer(this.state);
    else await this.files.checkpoint(this.scheduler.lastStep, this.state);
    await this.files.written();
    average?.swap();
    stream.origin.copyFrom(stream.generator);
    emptyCache();
    const result = {
      history: progress.history,
      steps: keptSteps(progress.steps),
      files,
      best,
      stoppedEarly: this.#isOutOfPatience,
    };
    await controls.onEnd?.(result);
    return result;
  }

  /** Waits until everything is written: nothing in the folder changes afterwards. */
  async close(): Promise<void> {
    await this.files.close().finally(this.letGo);
  }

  get #isOutOfPatience(): boolean {
    const { progress, best } = this.state;
    const { patience } = this.options;
    return patience !== null && best !== null && progress.epoch - best.epoch >= patience;
  }

  /** The current epoch; a run that was stopped before an epoch's first step has already drawn its order. */
  #beginEpoch(): EpochBatches {
    this.epoch ??= withGenerator(this.input.stream.generator, () => this.loader.epoch());
    this.state.order = this.epoch.order;
    return this.epoch;
  }

  async #betweenSteps(isGroupStart: boolean, epoch: EpochBatches): Promise<void> {
    const { lastStep } = this.scheduler;
    if (isGroupStart) this.#takeRates();
    if (isGroupStart && this.files.isDue(lastStep, null)) await this.files.checkpoint(lastStep, this.state);
    await setImmediate();
    if (!isGroupStart) return;
    const { controls } = this.input;
    const isOver = controls.signal?.aborted === true;
    if (await (controls.ranks?.any(isOver) ?? isOver)) await this.#stop(epoch);
  }

  /** Returns what `onStep` returns. */
  #recordStep(step: Step): unknown {
    const { progress } = this.state;
    for (const [name, value] of Object.entries(step.metrics)) {
      progress.sums[name] = (progress.sums[name] ?? 0) + value;
      this.#group[name] = (this.#group[name] ?? 0) + value / step.groupSize;
    }
    if (!step.isLastOfGroup) return undefined;
    const metrics = this.#group;
    this.#group = {};
    const { lastStep } = this.scheduler;
    this.#rates = this.scheduler.getLastLr();
    if (progress.rates !== undefined) progress.rates = [...this.#rates];
    keepStep(progress.steps, { step: lastStep, loss: metrics.loss, gradNorm: step.gradNorm });
    return this.input.controls.onStep?.({
      epoch: progress.epoch + 1,
      step: lastStep,
      steps: this.totalSteps,
      metrics,
      lr: this.scheduler.getLastLr()[0],
      samplesPerSecond: this.#speed(),
      gradNorm: step.gradNorm,
    });
  }

  async #endEpoch(): Promise<void> {
    const { progress, average } = this.state;
    this.#expectLayers();
    const record = await (average === null ? this.#validated() : average.withWeights(() => this.#validated()));
    progress.history.push(record);
    Object.assign(progress, { epoch: record.epoch, step: 0, seconds: 0, sums: {} });
    this.epoch = null;
    this.state.order = null;
    await this.files.epoch(record);
    const { lastStep } = this.scheduler;
    this.#takeRates();
    const isDue = this.files.isDue(lastStep, record.epoch);
    if (isDue) await this.files.checkpoint(lastStep, this.state);
    await this.input.controls.onEpoch?.(record);
    if (this.#takeRates() && isDue) await this.files.checkpoint(lastStep, this.state, { again: true });
    this.#expectLayers();
  }

  /** The epoch's record, validated with the model's current weights, which are kept if they are the best. */
  async #validated(): Promise<EpochRecord> {
    const record = await this.#epochRecord();
    const { best } = this.state;
    const [metric] = metricsOf(this.data);
    if (isBetterEpoch(metric, record.metrics, best && metricsOfEpoch(best))) {
      this.state.best = bestWeights(metric, record, this.model);
    }
    return record;
  }

  async #epochRecord(): Promise<EpochRecord> {
    const { epoch, sums, seconds, step } = this.state.progress;
    const means = Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / step]));
    const [lr, samplesPerSecond] = [this.scheduler.getLastLr()[0], this.#speed()];
    const validate = async () => (await this.#validator?.validate(this.model)) ?? {};
    const figures = await (this.input.controls.ranks?.fromFirst(validate) ?? validate());
    const metrics = { ...means, ...figures };
    return { epoch: epoch + 1, epochs: this.options.epochs, lr, seconds, samplesPerSecond, metrics };
  }

  /** Samples per second in the epoch so far. */
  #speed(): number {
    const { step, seconds } = this.state.progress;
    return Math.min(this.data.length, step * this.options.batchSize) / seconds;
  }

  /** Keeps rates that a callback set if the schedule continues from them; returns whether there are any. */
  #takeRates(): boolean {
    const rates = this.scheduler.getLastLr();
    if (rates.every((lr, i) => lr === (this.#rates[i] ?? lr))) return false;
    expectRatesStay(this.scheduler);
    this.#rates = rates;
    this.state.progress.rates = rates;
    return true;
  }

  /**
   * Refuses a network from which a callback removed layers, or in which it replaced some: the optimizer still updates
   * the old ones.
   */
  #expectLayers(): void {
    const change = this.#layout.change();
    if (change !== null) throw changed(change);
  }

  #noteResumption(): void {
    const { onNote, out } = this.input.controls;
    const { epoch, step, bfloat16Unit: began } = this.state.progress;
    if (this.isFinished) onNote?.(`${out}: ${RUN_FINISHED}`);
    else onNote?.(`${out}: resumed at epoch ${epoch + 1} of ${this.options.epochs}, step ${step + 1}`);
    const unit = bfloat16Unit();
    if (this.isFinished || began === undefined || began === unit) return;
    onNote?.(`this run began on ${began}, goes on on ${unit}: its bits differ from an uninterrupted run`);
  }

  async #stop(epoch: EpochBatches): Promise<never> {
    const { progress } = this.state;
    const { controls, stream } = this.input;
    stream.origin.copyFrom(stream.generator);
    await this.files.checkpoint(this.scheduler.lastStep, this.state);
    await this.files.written();
    const place = `stopped in epoch ${progress.epoch + 1} of ${this.options.epochs}, after step ${progress.step} of ${epoch.length}`;
    const rest =
      controls.out === undefined ? "" : `; its state is saved in ${controls.out}: re-run with --resume to continue`;
    throw new DistilleryError("ABORTED", place + rest, { cause: controls.signal?.reason });
  }

  #place(epoch: EpochBatches): string {
    const { progress } = this.state;
    return `epoch ${progress.epoch + 1}, step ${progress.step + 1} of ${epoch.length}`;
  }
}
