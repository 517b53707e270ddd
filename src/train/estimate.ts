import { expectObject } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import { Subset } from "../data/split.js";
import { KD_DEFAULTS } from "../losses/kd_loss.js";
import { type DistillationLoss, isDistillationLoss, readsTeacher } from "../losses/loss.js";
import { recordOf, setRecord } from "../models/training_record.js";
import { expectModule } from "../nn/expect_module.js";
import { Module } from "../nn/module.js";
import type { Optimizer } from "../optim/optimizer.js";
import { importModules } from "../registry/index.js";
import { asTeacher } from "../teachers/as_teacher.js";
import { openCache } from "../teachers/choose.js";
import { type Teacher, TeacherCache } from "../teachers/index.js";
import { isTeacher } from "../teachers/teacher.js";
import { cachedBytes, emptyCache } from "../tensor/buffer_pool.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { type Tensor, zeros } from "../tensor/tensor.js";
import { without } from "../without.js";
import { CONTROL_NAMES, type RunControls, splitControls } from "./controls.js";
import { DISTILL_INPUT, type DistillInput, distill, distillationLoss, expectDistillable } from "./distill.js";
import { evaluate } from "./inference.js";
import {
  distillationSchema,
  type ResolvedTraining,
  resolveOptions,
  type TrainingOptions,
  trainingSchema,
} from "./options.js";
import type { RunHandle } from "./run_handle.js";
import { memoryOf, type RunMemory } from "./run_memory.js";
import { createOptimizer } from "./run_optimizer.js";
import { SCHEDULE_OPTIONS, stepsPerEpoch } from "./run_schedule.js";
import { TRAINING_INPUT, type TrainTeacherInput, trainTeacher } from "./train_teacher.js";
import { cloneState } from "./trainer_state.js";

type Input = DistillInput | TrainTeacherInput;

/** The estimated cost of a run. */
export interface RunEstimate {
  /** Of the whole run. */
  steps: number;
  /** The mean over the steps that were tried. */
  stepSeconds: number;
  /** Of the whole run: its steps, the teacher's cached logits, the validation passes. */
  seconds: number;
  memory: RunMemory;
}

const SECONDS_TO_TRY = 0.5;
/** Warm-up steps, which allocate memory and start threads. */
const COLD_STEPS = 3;
const SAMPLES = 512;

/**
 * Estimates the time and memory of a run: tries some of its steps for half a second, and then restores the networks and
 * the random stream. Nothing is written; `onNote` gets the notes of those steps. The time includes whatever else the
 * machine is doing.
 *
 * @throws DistilleryError as `distill` and `trainTeacher` do.
 * @example
 * ```ts
 * const { seconds } = await estimateRun({ teacher, student, data: train, epochs: 12 });
 * ```
 */
export async function estimateRun(input: DistillInput | TrainTeacherInput): Promise<RunEstimate> {
  expectObject("estimateRun", input);
  if ("student" in input) await expectDistillable(input);
  const run = "student" in input ? distillation(input) : training(input);
  // The modules of a loss that is passed as an object.
  const modules = isDistillationLoss(input.loss) ? Object.values(input.loss.modules ?? {}) : [];
  const networks = [...run.networks, ...modules];
  const states = networks.map((network) => cloneState(network.stateDict()));
  const records = networks.map(recordOf);
  try {
    return await estimate(input, run, modules);
  } finally {
    for (const [i, network] of networks.entries()) {
      network.loadStateDict(states[i]);
      setRecord(network, records[i]);
      for (const parameter of network.parameters()) parameter.grad = null;
    }
    emptyCache();
  }
}

/** What the estimate needs to know about a kind of run. */
interface EstimatedRun {
  /** The trained network first. */
  networks: readonly [Module, ...Module[]];
  /** With their defaults. */
  options: ResolvedTraining;
  /** A teacher whose predictions for the validation set change after each epoch. */
  changingTeacher: Module | null;
  /**
   * The seconds that it takes to compute the teacher's cached logits, and a cache for the samples `first`; null without
   * a cache.
   */
  timeLogits(first: Dataset): Promise<{ seconds: number; cache: TeacherCache | null }>;
  start(changes: TrainingOptions & RunControls & { data: Dataset }, cache: TeacherCache | null): RunHandle;
}

function training(input: TrainTeacherInput): EstimatedRun {
  expectModule("model", input.model);
  const { model, loss } = input;
  const [, given] = splitControls(input);
  const names = [...TRAINING_INPUT, ...CONTROL_NAMES];
  const options = resolveOptions(trainingSchema, without(given, TRAINING_INPUT), names);
  return {
    networks: [model],
    options,
    changingTeacher: null,
    timeLogits: async () => NO_LOGITS,
    start: (changes) => trainTeacher({ ...options, loss, ...changes, model }),
  };
}

function distillation(input: DistillInput): EstimatedRun {
  const { teacher, student, loss, teacherMode: mode = "eval", teacherCache } = input;
  expectModule("student", student);
  if (teacher !== undefined) asTeacher(teacher, {});
  const network = teacher instanceof Module ? teacher : null;
  const [, given] = splitControls(input);
  const names = [...DISTILL_INPUT, ...CONTROL_NAMES];
  const options = resolveOptions(distillationSchema, without(given, DISTILL_INPUT), names);
  return {
    networks: network === null ? [student] : [student, network],
    options,
    changingTeacher: mode === "train" ? network : null,
    async timeLogits(first) {
      if (network === null || teacherCache instanceof Object) return NO_LOGITS;
      const loss = await lossOf(input);
      if (!readsTeacher(loss)) return NO_LOGITS;
      const { precision } = options;
      const use = { student, data: first, teacherCache, precision, mode, taps: loss.taps?.teacher ?? [] };
      const cache = await openCache(network, use);
      if (cache === null) return NO_LOGITS;
      // The first pass had cold caches and threads: a warm one is timed.
      const start = performance.now();
      await TeacherCache.compute(network, first, { precision });
      const seconds = (performance.now() - start) / 1000;
      return { seconds: (seconds * input.data.length) / first.length, cache };
    },
    start(changes, cache) {
      const taught = teacher && { teacher: withoutAsking(teacher), teacherCache: cache ?? false };
      return distill({ ...options, loss, ...changes, student, ...taught });
    },
  };
}

const NO_LOGITS = { seconds: 0, cache: null };

async function estimate(input: Input, run: EstimatedRun, modules: readonly Module[]): Promise<RunEstimate> {
  const { data, validation } = input;
  const { options } = run;
  const { epochs, shards, batchNorm } = options;
  const steps = epochs * stepsPerEpoch(data, options);
  // Samples that give whole batches.
  const first = firstOf(data, Math.max(SAMPLES, 2 * (input.batchSize ?? 0)));
  const logits = await run.timeLogits(first);
  // The cache may contain logits for the first samples only.
  const { stepSeconds, optimizer } = await trySteps(run, input, logits.cache === null ? data : first, logits.cache);
  const validationPasses = validation === undefined ? 0 : timeValidation(run, validation) * epochs;
  const memory = memoryOf({
    networks: run.networks,
    modules,
    data,
    validation,
    optimizer,
    activations: cachedBytes(),
    hasAverage: options.ema !== null,
    shards,
    batchNorm,
    isCached: logits.cache !== null,
  });
  return { steps, stepSeconds, seconds: logits.seconds + steps * stepSeconds + validationPasses, memory };
}

/** The loss of a distillation, with modules drawn from a separate stream. */
function lossOf(input: DistillInput): Promise<DistillationLoss> {
  const { temperature = KD_DEFAULTS.temperature, alpha = KD_DEFAULTS.alpha, labelSmoothing = 0, ...rest } = input;
  const generator = new Generator(0);
  return distillationLoss(input.loss, { teacher: null, ...rest, temperature, alpha, labelSmoothing, generator });
}

/**
 * Makes steps as the run would, with almost no learning rate: returns the seconds per step and the optimizer's bytes.
 */
async function trySteps(
  run: EstimatedRun,
  { onNote }: Input,
  data: Dataset,
  cache: TeacherCache | null,
): Promise<{ stepSeconds: number; optimizer: number }> {
  const stop = new AbortController();
  const [times, start] = [[] as number[], performance.now()];
  const onStep = () => {
    times.push(performance.now());
    if (times.length > 2 * COLD_STEPS && performance.now() - start > 1000 * SECONDS_TO_TRY) stop.abort();
  };
  const none = Object.fromEntries(SCHEDULE_OPTIONS.map((name) => [name, undefined]));
  const quiet = { ...none, lr: 1e-9, schedule: "constant", patience: null, epochs: 1_000_000 } as const;
  const { options } = run;
  const userModules = await importModules(typeof options.optimizer === "function" ? [] : [options.optimizer]);
  let made: Optimizer | null = null;
  const optimizer = (params: readonly Tensor[]) => {
    made = createOptimizer(options.optimizer, { ...options, ...quiet, params }, userModules, {});
    return made;
  };
  const { signal } = stop;
  const tried = withGenerator(new Generator(0), () => {
    return run.start({ ...quiet, optimizer, data, signal, onStep, onNote }, cache);
  });
  await tried.catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
  // The mean: with a prefetched teacher one step waits for its logits, and the next finds them ready.
  const [first, last] = [times[COLD_STEPS], times[times.length - 1]];
  const stepSeconds = (last - first) / (times.length - 1 - COLD_STEPS) / 1000;
  return { stepSeconds, optimizer: made === null ? 0 : stateBytes(made) };
}

/** A teacher that is not a network is not called, since that may cost something: its logits are zeros. */
function withoutAsking(teacher: NonNullable<DistillInput["teacher"]>): Module | Teacher {
  if (teacher instanceof Module) return teacher;
  let classes = 0;
  return {
    name: "zeros",
    fingerprint: () => null,
    open(run) {
      if (isTeacher(teacher)) teacher.open?.(run);
      classes = run.data.classes;
    },
    outputs: ({ indices }) => ({ logits: zeros([indices.length, classes]), taps: {} }),
  };
}

/** The bytes of an optimizer's state. */
function stateBytes(optimizer: Optimizer): number {
  const tensors = [...optimizer.stateDict().state].flatMap(([, slots]) => Object.values(slots));
  // Its counters of steps are numbers.
  return tensors.reduce((sum, { data, shape }) => (shape.length === 0 ? sum : sum + data.byteLength), 0);
}

/** The seconds that a validation pass takes. */
function timeValidation({ networks: [model], changingTeacher }: EstimatedRun, validation: Dataset): number {
  const some = firstOf(validation, SAMPLES);
  const pass = () => {
    const start = performance.now();
    evaluate(model, some, changingTeacher === null ? {} : { teacher: changingTeacher });
    return (performance.now() - start) / 1000;
  };
  pass();
  return (pass() * validation.length) / some.length;
}

function firstOf(data: Dataset, count: number): Dataset {
  if (data.length <= count) return data;
  const indices = Int32Array.from({ length: count }, (_, i) => i);
  return new Subset(data, indices);
}
