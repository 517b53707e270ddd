import type { Dataset } from "../data/dataset.js";
import { DataLoader } from "../data/loader.js";
import { Subset } from "../data/subset.js";
import type { Module } from "../nn/module.js";
import { cachedBytes, emptyCache } from "../tensor/buffer_pool.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { cloneState } from "./best.js";
import { splitControls } from "./controls.js";
import { type DistillInput, distill } from "./distill.js";
import { evaluate } from "./evaluate.js";
import { memoryOf, type RunMemory } from "./memory.js";
import { openCache } from "./open_cache.js";
import { distillationSchema, readOptions, trainingSchema } from "./options.js";
import type { TeacherCache } from "./teacher_cache.js";
import { type TrainTeacherInput, trainTeacher } from "./train_teacher.js";

type Input = DistillInput | TrainTeacherInput;

/** What a run would take. */
export interface RunEstimate {
  /** Of the whole run. */
  steps: number;
  /** The mean of those that were tried. */
  stepSeconds: number;
  /** Of the whole run: its steps, the teacher's answers, the looks at the validation set. */
  seconds: number;
  memory: RunMemory;
}

const SECONDS_TO_TRY = 0.5;
/** Steps that find their memory and their threads. */
const COLD_STEPS = 3;
const EXAMPLES = 512;

/**
 * Estimates what a run would take in time and memory: tries some of its steps, for half a second, and leaves the
 * networks and the random stream as they were. Nothing is written. What else the machine does shows in the time.
 *
 * @throws DistilleryError as `distill` and `trainTeacher` do.
 * @example
 * ```ts
 * const { seconds } = await estimateRun({ teacher, student, data: train, epochs: 12 });
 * ```
 */
export async function estimateRun(input: DistillInput | TrainTeacherInput): Promise<RunEstimate> {
  const networks = "student" in input ? [input.student, input.teacher] : [input.model];
  const states = networks.map((network) => cloneState(network.stateDict()));
  try {
    return await estimate(input, networks as [Module, ...Module[]]);
  } finally {
    for (const [i, network] of networks.entries()) {
      network.loadStateDict(states[i] as (typeof states)[number]);
      for (const parameter of network.parameters()) parameter.grad = null;
    }
    emptyCache();
  }
}

async function estimate(input: Input, networks: readonly [Module, ...Module[]]): Promise<RunEstimate> {
  const { data, validation } = input;
  const { batchSize, dropLast, epochs } = optionsOf(input);
  const steps = epochs * new DataLoader(data, { batchSize, dropLast }).length;
  const answers = await timeAnswers(input);
  const stepSeconds = await trySteps(input, answers.cache);
  const looks = validation === undefined ? 0 : timeLooks(input, validation) * epochs;
  const activations = cachedBytes();
  const memory = memoryOf({ networks, data, validation, activations, isCached: answers.cache !== null });
  return { steps, stepSeconds, seconds: answers.seconds + steps * stepSeconds + looks, memory };
}

/** The options with their defaults. */
function optionsOf(input: Input) {
  if ("student" in input) {
    const [, { teacher: _, student: __, data: ___, validation: ____, teacherCache: _____, ...rest }] =
      splitControls(input);
    return readOptions(distillationSchema, rest);
  }
  const [, { model: _, data: __, validation: ___, ...rest }] = splitControls(input);
  return readOptions(trainingSchema, rest);
}

/** The seconds that a teacher's answers take which are computed once, and the cache of the first of them. */
async function timeAnswers(input: Input): Promise<{ seconds: number; cache: TeacherCache | null }> {
  if (!("student" in input) || input.teacherCache instanceof Object) return { seconds: 0, cache: null };
  const data = firstOf(input.data, enough(input));
  const ask = async () => {
    const start = performance.now();
    const { onNote: _, ...quiet } = input;
    const cache = await openCache({ ...quiet, data }, input.teacherMode ?? "eval");
    return { seconds: (performance.now() - start) / 1000, cache };
  };
  await ask();
  const { seconds, cache } = await ask();
  return { seconds: cache === null ? 0 : (seconds * input.data.length) / data.length, cache };
}

/** Makes steps as the run would, with hardly any learning rate: the seconds that one takes. */
async function trySteps(input: Input, cache: TeacherCache | null) {
  const stop = new AbortController();
  const [times, start] = [[] as number[], performance.now()];
  const onStep = () => {
    times.push(performance.now());
    if (times.length > 2 * COLD_STEPS && performance.now() - start > 1000 * SECONDS_TO_TRY) stop.abort();
  };
  // Less than the whole data set is what the cache has answers for.
  const data = cache === null ? input.data : firstOf(input.data, enough(input));
  const quiet = { lr: 1e-9, schedule: "constant", warmupSteps: 0, patience: null, epochs: 1_000_000 } as const;
  const common = { ...optionsOf(input), ...quiet, data, signal: stop.signal, onStep };
  const run = withGenerator(new Generator(0), () => {
    if (!("student" in input)) return trainTeacher({ ...common, model: input.model });
    const { teacher, student } = input;
    return distill({ ...common, teacher, student, teacherCache: cache ?? false });
  });
  await run.catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  // Their mean: where a teacher is asked ahead, one step waits for an answer and the next finds its own.
  const [first, last] = [times[COLD_STEPS] as number, times.at(-1) as number];
  return (last - first) / (times.length - 1 - COLD_STEPS) / 1000;
}

/** The seconds that a look at the validation set takes. */
function timeLooks(input: Input, validation: Dataset): number {
  const some = firstOf(validation, EXAMPLES);
  // A teacher in train mode is asked each time; the answers of another are known after the first epoch.
  const isMoving = "student" in input && input.teacherMode === "train";
  const model = "student" in input ? input.student : input.model;
  const look = () => {
    const start = performance.now();
    evaluate(model, some, isMoving ? { teacher: input.teacher } : {});
    return (performance.now() - start) / 1000;
  };
  look();
  return (look() * validation.length) / some.length;
}

/** The number of examples that give whole batches. */
function enough({ batchSize = 0 }: Input): number {
  return Math.max(EXAMPLES, 2 * batchSize);
}

function firstOf(data: Dataset, most: number): Dataset {
  return data.length <= most
    ? data
    : new Subset(
        data,
        Int32Array.from({ length: most }, (_, i) => i),
      );
}
