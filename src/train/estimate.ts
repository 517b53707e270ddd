import type { Dataset } from "../data/dataset.js";
import { DerivedDataset } from "../data/derived_dataset.js";
import { ImageDataset } from "../data/image_dataset.js";
import { DataLoader } from "../data/loader.js";
import { Subset } from "../data/subset.js";
import { Module } from "../nn/module.js";
import { chooseTeacher, TeacherCache } from "../teachers/index.js";
import { cachedBytes, emptyCache } from "../tensor/buffer_pool.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { splitControls } from "./controls.js";
import { type DistillInput, distill } from "./distill.js";
import { evaluate } from "./inference.js";
import { distillationSchema, resolveOptions, trainingSchema } from "./options.js";
import { type TrainTeacherInput, trainTeacher } from "./train_teacher.js";
import { cloneState } from "./trainer_state.js";

type Input = DistillInput | TrainTeacherInput;

/** The memory that a run takes, in bytes, part by part. */
export interface RunMemory {
  /** Of all networks. */
  weights: number;
  gradients: number;
  /** AdamW's moments. */
  optimizer: number;
  /** Everything that a step and a validation pass hold, the gradients of activations included. */
  activations: number;
  data: number;
  teacherLogits: number;
  /** The best weights, and checkpoints that are being written. */
  copies: number;
  /** Node.js, the code and what else the process has. */
  process: number;
}

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
  const networks = networksOf(input);
  const states = networks.map((network) => cloneState(network.stateDict()));
  try {
    return await estimate(input, networks);
  } finally {
    for (const [i, network] of networks.entries()) {
      network.loadStateDict(states[i]);
      for (const parameter of network.parameters()) parameter.grad = null;
    }
    emptyCache();
  }
}

async function estimate(input: Input, networks: readonly [Module, ...Module[]]): Promise<RunEstimate> {
  const { data, validation } = input;
  const { batchSize, dropLast, epochs, accumulate } = resolved(input);
  const steps = epochs * Math.ceil(new DataLoader(data, { batchSize, dropLast }).length / accumulate);
  const logits = await timeTeacherLogits(input);
  const stepSeconds = await trySteps(input, logits.cache);
  const validationPasses = validation === undefined ? 0 : timeValidation(input, validation) * epochs;
  const activations = cachedBytes();
  const memory = memoryOf({ networks, data, validation, activations, isCached: logits.cache !== null });
  return { steps, stepSeconds, seconds: logits.seconds + steps * stepSeconds + validationPasses, memory };
}

/** The trained network first. */
function networksOf(input: Input): readonly [Module, ...Module[]] {
  if (!("student" in input)) return [input.model];
  return input.teacher instanceof Module ? [input.student, input.teacher] : [input.student];
}

/** The options with their defaults. */
function resolved(input: Input) {
  if ("student" in input) {
    const [, { teacher: _, student: __, data: ___, validation: ____, teacherCache: _____, loss: ______, ...rest }] =
      splitControls(input);
    return resolveOptions(distillationSchema, rest);
  }
  const [, { model: _, data: __, validation: ___, name: ____, loss: _____, ...rest }] = splitControls(input);
  return resolveOptions(trainingSchema, rest);
}

/** The seconds that computing the teacher's cached logits takes, and a cache of the first of them; null without one. */
async function timeTeacherLogits(input: Input): Promise<{ seconds: number; cache: TeacherCache | null }> {
  const none = { seconds: 0, cache: null };
  if (!("student" in input) || !(input.teacher instanceof Module) || input.teacherCache instanceof Object) return none;
  const { teacher, student, teacherCache, teacherMode = "eval" } = input;
  const data = firstOf(input.data, minSamples(input));
  const chosen = await chooseTeacher(teacher, { student, data, teacherCache, mode: teacherMode });
  chosen.close?.();
  if (chosen.name !== "cached") return none;
  const start = performance.now();
  const cache = await TeacherCache.compute(teacher, data);
  const seconds = (performance.now() - start) / 1000;
  return { seconds: (seconds * input.data.length) / data.length, cache };
}

/** Makes steps as the run would, with hardly any learning rate: the seconds that one takes. */
async function trySteps(input: Input, cache: TeacherCache | null) {
  const stop = new AbortController();
  const [times, start] = [[] as number[], performance.now()];
  const onStep = () => {
    times.push(performance.now());
    if (times.length > 2 * COLD_STEPS && performance.now() - start > 1000 * SECONDS_TO_TRY) stop.abort();
  };
  // The cache may have logits for the first samples only.
  const data = cache === null ? input.data : firstOf(input.data, minSamples(input));
  const quiet = { lr: 1e-9, schedule: "constant", warmupSteps: 0, patience: null, epochs: 1_000_000 } as const;
  const loss = input.loss === undefined ? {} : { loss: input.loss };
  const common = { ...resolved(input), ...loss, ...quiet, data, signal: stop.signal, onStep };
  const run = withGenerator(new Generator(0), () => {
    if (!("student" in input)) return trainTeacher({ ...common, model: input.model });
    const { teacher, student } = input;
    return distill({ ...common, teacher, student, teacherCache: cache ?? false });
  });
  await run.catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  // Their mean: with a prefetched teacher one step waits for its logits and the next finds its own.
  const [first, last] = [times[COLD_STEPS], times.at(-1) as number];
  return (last - first) / (times.length - 1 - COLD_STEPS) / 1000;
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

/** What the memory is estimated from. */
interface MemoryInputs {
  /** The trained one first. */
  networks: readonly [Module, ...Module[]];
  data: Dataset;
  validation?: Dataset | undefined;
  activations: number;
  /** Whether the teacher's logits are cached. */
  isCached: boolean;
}

const FLOAT = 4;

/** Call it while the process holds the networks, the data and what a step needs. */
function memoryOf({ networks, data, validation, activations, isCached }: MemoryInputs): RunMemory {
  const size = (network: Module) => FLOAT * network.parameterCount();
  const trained = size(networks[0]);
  const parts = {
    weights: networks.reduce((sum, network) => sum + size(network), 0),
    gradients: trained,
    optimizer: 2 * trained,
    activations,
    data: bytesOf(validation === undefined ? [data] : [data, validation]),
  };
  const here = Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);
  return {
    ...parts,
    teacherLogits: isCached ? FLOAT * data.length * data.classes : 0,
    // Weights and moments, of the best epoch too; the garbage collector lets one go when the next is written.
    copies: 2 * (validation === undefined ? 3 : 5) * trained,
    process: Math.max(0, process.memoryUsage.rss() - here),
  };
}

/** Of the data sets behind these, each once. */
function bytesOf(datasets: readonly Dataset[]): number {
  const bases = new Set(datasets.map(baseOf));
  return [...bases].reduce((sum, base) => sum + ownBytes(base), 0);
}

function baseOf(dataset: Dataset): Dataset {
  return dataset instanceof DerivedDataset ? baseOf(dataset.dataset) : dataset;
}

function ownBytes(dataset: Dataset): number {
  if (dataset instanceof ImageDataset) return dataset.pixels.byteLength + dataset.labels.data.byteLength;
  // What is read from a disk stays there, but for a chunk.
  return FLOAT * Math.min(dataset.length, dataset.chunk ?? dataset.length) * (dataset.features + 1);
}
