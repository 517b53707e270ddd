import { types } from "node:util";
import leven from "leven";
import { argumentError, badArgument, expectOneOf, expectOptions, show } from "../checks.js";
import { NO_LABEL } from "../data/dataset.js";
import { TASK_NAMES, type TaskName } from "../data/task_name.js";
import { Module } from "../nn/module.js";
import { type Labels, labelData } from "../tensor/int_tensor.js";
import { Tensor } from "../tensor/tensor.js";

/** The outputs of a network for a batch. */
export interface Outputs {
  /** [n, classes]. */
  readonly logits: Tensor;
  /**
   * The outputs of the modules that a loss reads, by path: `fc2`, `layers.3`, and `fc3:input` for the input of `fc3`.
   */
  readonly taps: Readonly<Record<string, Tensor>>;
}

/** What a loss is computed from. */
export interface LossBatch {
  readonly student: Outputs;
  /** Constants: no gradient flows to the teacher. A loss with `needsTeacher: false` can't read them. */
  readonly teacher: Outputs;
  /** [n], with -1 for a sample without a label; null if the data have no labels at all. */
  readonly labels: Labels | null;
  /** [n, outputs]: for tasks other than classification, the targets, standardised if the data are. */
  readonly targets?: Tensor | null;
  /** The index of each sample in its data set. */
  readonly indices: Int32Array;
  /** The current epoch, from 1, for weights and temperatures that follow a schedule. */
  readonly epoch: number;
  /** The number of epochs of the run. */
  readonly epochs: number;
  /**
   * The number of optimizer steps that the run has made, from 0. Use it instead of a counter in the loss, which would
   * be lost on resuming.
   */
  readonly step: number;
  /** The number of steps of the run. */
  readonly steps: number;
  /** Whether each sample is mixed with another one (mixup), and so is not a sample of the data set. Default false. */
  readonly isMixed?: boolean;
}

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/**
 * What a student is trained with. A loss is one file: its value, its options with their defaults, what it reads and
 * what it logs.
 *
 * @example
 * ```ts
 * const logitMse: DistillationLoss = {
 *   name: "logit-mse",
 *   config: () => ({ name: "logit-mse" }),
 *   compute({ student, teacher }) {
 *     const difference = student.logits.add(teacher.logits.mul(-1));
 *     return { loss: difference.mul(difference).mean(), metrics: {} };
 *   },
 * };
 * await distill({ teacher, student, data, loss: logitMse });
 * ```
 */
export interface DistillationLoss {
  /** Its name in expressions and logs. */
  readonly name: string;
  /**
   * The paths of the modules whose outputs it reads, in the student and in the teacher; `fc3:input` is the input of
   * `fc3`.
   */
  readonly taps?: { readonly student?: readonly string[]; readonly teacher?: readonly string[] };
  /**
   * Regressors and other modules that are trained with the student and stored in the checkpoint, but not in the
   * student's file.
   */
  readonly modules?: Readonly<Record<string, Module>>;
  /** Whether `compute` reads `batch.teacher`. Default true. */
  readonly needsTeacher?: boolean;
  /**
   * Whether `compute` reads `batch.teacher.logits`. Default: as `needsTeacher`. Set it to false if the loss reads only
   * hidden outputs.
   */
  readonly needsTeacherLogits?: boolean;
  /** The tasks that it supports: data of other tasks are refused. Default: every task. */
  readonly tasks?: readonly TaskName[];
  /** Whether `compute` draws random numbers. Default false, which lets a teacher be prefetched. */
  readonly drawsRandomNumbers?: boolean;
  /** Returns the loss as a scalar, and named numbers for the logs: means over the batch. */
  compute(batch: LossBatch): {
    loss: Tensor;
    metrics: Readonly<Record<string, number>>;
    /** The loss that a sum shows for it, if its own weight follows the epoch; default: the loss itself. */
    unweighted?: number | undefined;
  };
  /**
   * Everything that the loss's value depends on: stored in `config.json`, and required to be equal in a resumed run.
   */
  config(): Json;
}

/**
 * A module of a loss that keeps something per sample, such as a bank of embeddings. With `shards`, changes of other
 * buffers are averaged over a batch's shards; updates of a memory are collected instead, and applied once for all
 * shards.
 */
export interface ShardedMemory extends Module {
  /** Those of its buffers that only {@link ShardedMemory.takeRows} changes. */
  readonly banks: readonly Tensor[];
  /** Runs `body`, the forward pass of a shard, and adds the updates of the memory to `rows`. */
  asShard<T>(shard: number, rows: Float64Array[], body: () => T): T;
  /** Applies the updates of all shards of a batch, in their order. */
  takeRows(rows: readonly Float64Array[]): void;
}

/** The memories that a module is or holds. */
export function shardedMemories(module: Module): ShardedMemory[] {
  const isMemory = (one: Module): one is ShardedMemory => "asShard" in one;
  return module.modules().filter(isMemory);
}

/** What a loss may be made for. */
export interface LossContext {
  /** The number of classes, or of outputs for other tasks. */
  readonly classes: number;
  /** What the network is trained for; default: classification. */
  readonly task?: TaskName | undefined;
  /** The label smoothing of a run's hard targets, for losses without their own. */
  readonly labelSmoothing: number;
  /**
   * The shape of a module's output for one sample, by the module's path (empty for the network's own output): for
   * regressors between hidden layers.
   */
  tapShape(network: "student" | "teacher", path: string): readonly number[];
  /** The path of a network's features: the input of the layer that computes its logits, such as `fc3:input`. */
  features(network: "student" | "teacher"): string;
  /** The number of samples that are trained on. */
  readonly samples: number;
  /** Whether some of these samples may have no label; default false. */
  readonly unlabelled?: boolean | undefined;
  /** Whether samples are mixed with each other ({@link LossBatch.isMixed}); default false. */
  readonly mixed?: boolean | undefined;
  /** The class of each of these samples; the `BAD_ARGUMENT`, if one has none, begins with the loss. */
  labels(loss?: string): Int32Array;
}

/** A loss with some of its fields replaced; other fields, including those of its class, are kept. */
export function changedLoss(loss: DistillationLoss, changes: Partial<DistillationLoss>): DistillationLoss {
  const { name, taps, modules, needsTeacher, needsTeacherLogits, tasks, drawsRandomNumbers } = loss;
  return {
    name,
    needsTeacher,
    needsTeacherLogits,
    taps,
    modules,
    tasks,
    drawsRandomNumbers,
    compute: (batch) => loss.compute(batch),
    config: () => loss.config(),
    ...changes,
  };
}

/** Whether a value is meant as a {@link DistillationLoss}, and not as an expression. */
export function isDistillationLoss(value: unknown): value is DistillationLoss {
  return typeof value === "object" && value !== null && ("compute" in value || "needsTeacher" in value);
}

/** Whether a loss reads the teacher. */
export function readsTeacher({ needsTeacher = true }: DistillationLoss): boolean {
  return needsTeacher;
}

/** Whether a loss reads the teacher's logits. */
export function readsTeacherLogits(loss: DistillationLoss): boolean {
  return readsTeacher(loss) && (loss.needsTeacherLogits ?? true);
}

/** Refuses a field of a loss with a wrong value; the `BAD_ARGUMENT` begins with `place`. */
type Check = (value: unknown, place: string) => void;

const must =
  (ok: (value: unknown) => boolean, expected: string): Check =>
  (value, place) => {
    if (!ok(value)) throw badArgument(place, `a loss ${expected}`, value);
  };
const ifGiven =
  (check: Check): Check =>
  (value, place) =>
    value === undefined || check(value, place);
const isFlag = (value: unknown) => typeof value === "boolean";
const isFunction = (value: unknown) => typeof value === "function";
const isObject = (value: unknown) => typeof value === "object" && value !== null;
const isTexts = (value: unknown) => Array.isArray(value) && value.every((one) => typeof one === "string");

const FIELDS: Readonly<Record<keyof DistillationLoss, Check>> = {
  name: must((value) => typeof value === "string", "whose name is a text"),
  compute: must(isFunction, "whose compute is a function of the batch"),
  config: must(isFunction, "whose config is a function, as () => ({ name })"),
  needsTeacher: ifGiven(must(isFlag, "whose needsTeacher is true or false")),
  needsTeacherLogits: ifGiven(must(isFlag, "whose needsTeacherLogits is true or false")),
  drawsRandomNumbers: ifGiven(must(isFlag, "whose drawsRandomNumbers is true or false")),
  tasks: ifGiven((value, place) => {
    if (!Array.isArray(value)) throw badArgument(place, "a loss whose tasks are a list", value);
    for (const [i, task] of value.entries()) expectOneOf(`${place}: tasks[${i}]`, task, TASK_NAMES);
  }),
  taps: ifGiven((value, place) => {
    must((taps) => isObject(taps) && !Array.isArray(taps), "whose taps are { student, teacher }")(value, place);
    const taps = value as Record<string, unknown>;
    expectOptions(`${place}: taps`, taps, ["student", "teacher"]);
    for (const network of ["student", "teacher"]) {
      ifGiven(must(isTexts, `whose taps.${network} is a list of paths`))(taps[network], place);
    }
  }),
  modules: ifGiven((value, place) => {
    must(isObject, "whose modules are Modules by their names")(value, place);
    for (const [name, module] of Object.entries(value as object)) {
      must((one) => one instanceof Module, `whose modules.${name} is a Module`)(module, place);
    }
  }),
};

/** Refuses anything but a {@link DistillationLoss}; the `BAD_ARGUMENT` begins with `place` and names the field. */
export function expectDistillationLoss(value: unknown, place: string): DistillationLoss {
  must((one) => isObject(one) && !types.isPromise(one), "with name, compute and config")(value, place);
  const loss = value as DistillationLoss;
  const [wrongKey, meant] = misspelt(loss) ?? [];
  if (wrongKey !== undefined) {
    throw argumentError(place, `unknown field ${show(wrongKey)}, did you mean ${meant}?`);
  }
  for (const [field, check] of Object.entries(FIELDS)) check(loss[field as keyof DistillationLoss], place);
  const config: unknown = loss.config();
  must((one) => !types.isPromise(one), "whose config() gives what JSON can hold")(config, place);
  try {
    JSON.stringify(config);
  } catch (error) {
    const [problem] = (error as Error).message.split("\n");
    const text = `expected a loss whose config() gives what JSON can hold: ${problem}`;
    throw argumentError(place, text, { cause: error });
  }
  return loss;
}

/**
 * A key that is one or two letters off a field which the loss lacks, with that field. Other keys belong to the loss.
 */
function misspelt(loss: DistillationLoss): [key: string, field: string] | null {
  const missing = Object.keys(FIELDS).filter((field) => loss[field as keyof DistillationLoss] === undefined);
  for (const key of Object.keys(loss).filter((key) => !Object.hasOwn(FIELDS, key))) {
    const field = missing.find((field) => isNear(key, field));
    if (field !== undefined) return [key, field];
  }
  return null;
}

/** Short fields are near to many words, as taps is to tau: for these a key may only lack or add a last letter. */
function isNear(key: string, field: string): boolean {
  return field.length < 6 ? `${key}s` === field || key === `${field}s` : leven(key, field, { maxDistance: 3 }) < 3;
}

/**
 * Computes a loss for a batch and checks the result: a scalar, and metrics that are numbers; the `BAD_ARGUMENT` names
 * the loss.
 */
export function computeLoss(loss: DistillationLoss, batch: LossBatch): ReturnType<DistillationLoss["compute"]> {
  const place = `loss ${loss.name}`;
  const result: unknown = loss.compute(batch);
  if (result instanceof Tensor || typeof result !== "object" || result === null || !("loss" in result)) {
    throw argumentError(place, `expected { loss, metrics }, got ${showTensor(result)}`);
  }
  const {
    loss: value,
    metrics = {},
    unweighted,
  } = result as {
    loss: unknown;
    metrics?: unknown;
    unweighted?: number;
  };
  if (!(value instanceof Tensor) || value.size !== 1) {
    throw argumentError(place, `expected a scalar, got ${showTensor(value)}`);
  }
  if (typeof metrics !== "object" || metrics === null || metrics instanceof Tensor || Array.isArray(metrics)) {
    const text = `metrics: expected numbers by their names, got ${showTensor(metrics)}`;
    throw argumentError(place, text);
  }
  for (const [name, metric] of Object.entries(metrics)) {
    if (typeof metric === "number") continue;
    const advice = metric instanceof Tensor ? ": expected its item()" : "";
    const text = `metric ${name}: expected a number, got ${showTensor(metric)}${advice}`;
    throw argumentError(place, text);
  }
  return { loss: value, metrics: metrics as Record<string, number>, unweighted };
}

function showTensor(value: unknown): string {
  if (types.isPromise(value)) return `${show(value)}: a loss can't be async`;
  return value instanceof Tensor ? `a tensor of shape [${value.shape.join(", ")}]` : show(value);
}

/** The labels of a batch, some of which may be -1 (no label); `BAD_ARGUMENT` if the data have no labels at all. */
export function someLabelsFor(loss: string, { labels }: LossBatch): Labels {
  if (labels !== null) return labels;
  const text = "the data have no labels: leave this term out; kd needs none without alpha, or with alpha 1";
  throw argumentError(loss, text);
}

/** The labels of a batch; `BAD_ARGUMENT` if a sample has none. */
export function labelsFor(loss: string, batch: LossBatch): Labels {
  const labels = someLabelsFor(loss, batch);
  const rows = labelledRows(labels);
  if (rows === null) return labels;
  const { length } = labelData(labels);
  const text = `needs a label for every sample, and ${length - rows.length} of a batch of ${length} have none`;
  throw argumentError(loss, text);
}

/** The rows that have a label; null if all have one. */
export function labelledRows(labels: Labels): Int32Array | null {
  const data = labelData(labels);
  return data.includes(NO_LABEL) ? Int32Array.from(data.keys()).filter((i) => data[i] !== NO_LABEL) : null;
}
