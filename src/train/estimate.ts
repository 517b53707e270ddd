import { expectObject } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import { Subset } from "../data/split.js";
import { KD_DEFAULTS } from "../losses/kd_loss.js";
import { type DistillationLoss, isDistillationLoss } from "../losses/loss.js";
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
import { CONTROL_NAMES, splitControls } from "./controls.js";
import { DISTILL_INPUT, type DistillInput, distill, distillationLoss } from "./distill.js";
import { evaluate } from "./inference.js";
import { createOptimizer } from "./optimizer.js";
import { distillationSchema, resolveOptions, trainingSchema } from "./options.js";
import { memoryOf, type RunMemory } from "./run_memory.js";
import { SCHEDULE_OPTIONS, stepsPerEpoch } from "./schedule.js";
import { TRAINING_INPUT, type TrainTeacherInput, trainTeacher } from "./train_teacher.js";
import { cloneState } from "./trainer_state.js";

type Input = DistillInput | TrainTeacherInput;

/** What a run would take. */
export interface RunEstimate {
  /** Of the whole run. */
  steps: number;
  /** The mean of those that were tried. */
  stepSeconds: number;
  /** Of the whole run: its steps, the teacher's cached logits, the validation passes. */
  seconds: number;
  memory: RunMemory;
}

const SECONDS_TO_TRY = 0.5;
/** Steps that allocate memory and start threads. */
const COLD_STEPS = 3;
const SAMPLES = 512;

/**
 * Estimates the time and memory of a run: tries some of its steps, for half a second, and restores the networks and the
 * random stream. Nothing is written. The time includes what else the machine does.
 *
 * @throws DistilleryError as `distill` and `trainTeacher` do.
 * @example
 * ```ts
 * const { seconds } = await estimateRun({ teacher, student, data: train, epochs: 12 });
 * ```
 */
export async function estimateRun(input: DistillInput | TrainTeacherInput): Promise<RunEstimate> {
  expectObject("estimateRun", input);
  if (!("student" in input)) expectModule("model", input.model);
  else {
    expectModule("student", input.student);
    if (input.teacher !== undefined) asTeacher(input.teacher, {});
  }
  const networks = [...networksOf(input), ...modulesOf(input)];
  const states = networks.map((network) => cloneState(network.stateDict()));
  const records = networks.map(recordOf);
  try {
    return await estimate(input);
  } finally {
    for (const [i, network] of networks.entries()) {
      network.loadStateDict(states[i]);
      setRecord(network, records[i]);
      for (const parameter of network.parameters()) parameter.grad = null;
    }
    emptyCache();
  }
}

async function estimate(input: Input): Promise<RunEstimate> {
  const { data, validation } = input;
  const options = resolved(input);
  const steps = options.epochs * stepsPerEpoch(data, options);
  const logits = await timeTeacherLogits(input);
  const { stepSeconds, optimizer } = await trySteps(input, logits.cache);
  const validationPasses = validation === undefined ? 0 : timeValidation(input, validation) * options.epochs;
  const sizes = {
    optimizer,
    activations: cachedBytes(),
    hasAverage: options.ema !== null,
    ...{ shards: options.shards, batchNorm: options.batchNorm },
  };
  const memory = memoryOf({
    networks: networksOf(input),
    modules: modulesOf(input),
    data,
    validation,
    ...sizes,
    isCached: logits.cache !== null,
  });
  return { steps, stepSeconds, seconds: logits.seconds + steps * stepSeconds + validationPasses, memory };
}

/** The trained network first. */
function networksOf(input: Input): readonly [Module, ...Module[]] {
  if (!("student" in input)) return [input.model];
  return input.teacher instanceof Module ? [input.student, input.teacher] : [input.student];
}

/** The modules of a loss that is given as such. */
function modulesOf({ loss }: Input): readonly Module[] {
  return isDistillationLoss(loss) ? Object.values(loss.modules ?? {}) : [];
}

/** The options with their defaults. */
function resolved(input: Input) {
  if ("student" in input) {
    const [, given] = splitControls(input);
    return resolveOptions(distillationSchema, without(given, DISTILL_INPUT), [...DISTILL_INPUT, ...CONTROL_NAMES]);
  }
  const [, given] = splitControls(input);
  return resolveOptions(trainingSchema, without(given, TRAINING_INPUT), [...TRAINING_INPUT, ...CONTROL_NAMES]);
}

/** The loss of a distillation, whose modules are drawn from a stream of its own. */
function lossOf(input: DistillInput): Promise<DistillationLoss> {
  const { temperature = KD_DEFAULTS.temperature, alpha = KD_DEFAULTS.alpha, labelSmoothing = 0, ...rest } = input;
  return distillationLoss(input.loss, {
    teacher: null,
    ...rest,
    temperature,
    alpha,
    labelSmoothing,
    generator: new Generator(0),
  });
}

/** The seconds that computing the teacher's cached logits takes, and a cache of the first of them; null without one. */
async function timeTeacherLogits(input: Input): Promise<{ seconds: number; cache: TeacherCache | null }> {
  const none = { seconds: 0, cache: null };
  if (!("student" in input) || !(input.teacher instanceof Module) || input.teacherCache instanceof Object) return none;
  const { teacher, student, teacherCache, teacherMode = "eval" } = input;
  const loss = await lossOf(input);
  if (!loss.needsTeacher) return none;
  const data = firstOf(input.data, minSamples(input));
  const { precision } = resolved(input);
  const use = { student, data, teacherCache, precision, mode: teacherMode, taps: loss.taps?.teacher ?? [] };
  const cache = await openCache(teacher, use);
  if (cache === null) return none;
  // That was the first pass, with cold caches and threads: a warm one is timed.
  const start = performance.now();
  await TeacherCache.compute(teacher, data, { precision });
  const seconds = (performance.now() - start) / 1000;
  return { seconds: (seconds * input.data.length) / data.length, cache };
}

/** Makes steps as the run would, with hardly any learning rate: the seconds that one takes, the optimizer's bytes. */
async function trySteps(input: Input, cache: TeacherCache | null): Promise<{ stepSeconds: number; optimizer: number }> {
  const stop = new AbortController();
  const [times, start] = [[] as number[], performance.now()];
  const onStep = () => {
    times.push(performance.now());
    if (times.length > 2 * COLD_STEPS && performance.now() - start > 1000 * SECONDS_TO_TRY) stop.abort();
  };
  // The cache may have logits for the first samples only.
  const data = cache === null ? input.data : firstOf(input.data, minSamples(input));
  const none = Object.fromEntries(SCHEDULE_OPTIONS.map((name) => [name, undefined]));
  const quiet = { ...none, lr: 1e-9, schedule: "constant", patience: null, epochs: 1_000_000 } as const;
  const loss = input.loss === undefined ? {} : { loss: input.loss };
  const options = resolved(input);
  const userModules = await importModules(typeof options.optimizer === "function" ? [] : [options.optimizer]);
  let optimizer: Optimizer | null = null;
  const makeOptimizer = (params: readonly Tensor[]) => {
    optimizer = createOptimizer(options.optimizer, { ...options, ...quiet, params }, userModules, {});
    return optimizer;
  };
  const common = { ...options, ...loss, ...quiet, optimizer: makeOptimizer, data, signal: stop.signal, onStep };
  const run = withGenerator(new Generator(0), () => {
    if (!("student" in input)) return trainTeacher({ ...common, model: input.model });
    const { teacher, student } = input;
    return distill({
      ...common,
      student,
      ...(teacher && { teacher: withoutAsking(teacher), teacherCache: cache ?? false }),
    });
  });
  await run.catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  // Their mean: with a prefetched teacher one step waits for its logits and the next finds its own.
  const [first, last] = [times[COLD_STEPS], times.at(-1) as number];
  const stepSeconds = (last - first) / (times.length - 1 - COLD_STEPS) / 1000;
  return { stepSeconds, optimizer: optimizer === null ? 0 : stateBytes(optimizer) };
}

/** A teacher that is no network is not asked, as that may cost something: its logits are zeros. */
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
function timeValidation(input: Input, validation: Dataset): number {
  const some = firstOf(validation, SAMPLES);
  // The classes that a fixed teacher predicts are known after the first epoch.
  const changing =
    "student" in input && input.teacherMode === "train" && input.teacher instanceof Module ? input.teacher : null;
  const model = "student" in input ? input.student : input.model;
  const pass = () => {
    const start = performance.now();
    evaluate(model, some, changing === null ? {} : { teacher: changing });
    return (performance.now() - start) / 1000;
  };
  pass();
  return (pass() * validation.length) / some.length;
}

/** The number of samples that give whole batches. */
function minSamples({ batchSize = 0 }: Input): number {
  return Math.max(SAMPLES, 2 * batchSize);
}

function firstOf(data: Dataset, count: number): Dataset {
  if (data.length <= count) return data;
  const indices = Int32Array.from({ length: count }, (_, i) => i);
  return new Subset(data, indices);
}
