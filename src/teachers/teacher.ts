import { types } from "node:util";
import { argumentError, badArgument, badDtype, show } from "../checks.js";
import type { Batch, Dataset } from "../data/dataset.js";
import type { DistilleryError } from "../errors.js";
import type { Outputs } from "../losses/loss.js";
import type { Module } from "../nn/module.js";
import type { StateDict } from "../nn/state_dict.js";
import type { Precision } from "../tensor/precision.js";
import { Tensor } from "../tensor/tensor.js";

/** What a teacher is opened for. */
export interface TeacherRun {
  readonly data: Dataset;
  /** The paths of modules whose outputs the loss reads. */
  readonly taps: readonly string[];
  /** The network that is taught; in a loop of a program's own undefined. */
  readonly student?: Module;
  /** Whether the loss is known to read logits alone, and no labels. */
  readonly labelFree?: () => boolean;
  /** What `evaluate` is called for; null: nothing. */
  readonly validation?: Dataset | null;
  /** Of the products of its linear layers; default: the one that is current. */
  readonly precision?: Precision;
}

/** What a teacher prepares for. */
export interface PreparedRun {
  /** The run's folder; null: none. */
  readonly out: string | null;
  /** Whether each sample's outputs are taken once: nothing need be computed before. Default false. */
  readonly once?: boolean;
  readonly signal?: AbortSignal;
  /** Of a run that several ranks share: what the first one computes, on all of them. */
  readonly fromFirst?: (compute: () => Promise<Float32Array>) => Promise<Float32Array>;
  /** Called with a line for the user. */
  readonly onNote?: (text: string) => void;
}

/**
 * Where the teacher's outputs for a batch come from: a live network, a frozen one, cached logits, a file, a server,
 * several of these. A run calls `outputs` once for each batch, or
 * each shard of it, in order.
 *
 * @example
 * ```ts
 * const calibrated: Teacher = {
 *   name: "calibrated",
 *   fingerprint: () => null,
 *   outputs: ({ inputs }) => ({ logits: noGrad(() => network.forward(inputs).mul(0.7)), taps: {} }),
 * };
 * await distill({ teacher: calibrated, student, data });
 * ```
 */
export interface Teacher {
  /** As logs and `config.json` call it. */
  readonly name: string;
  /** Tells teachers of other outputs apart, as the SHA-256 of their weights; null if that is not known. */
  fingerprint(): string | null;
  /**
   * Called before a run is set up; refuses one that it has no outputs for: other data, another precision, or hidden
   * outputs that it does not have. `BAD_ARGUMENT`. One of your own that keeps something of the run teaches one at a
   * time; the library's teach any number.
   */
  open?(run: TeacherRun): void;
  /**
   * Called once before the first step of a run, after `open`, for what takes time, such as asking a server. A dry run
   * does not.
   */
  prepare?(run: PreparedRun): Promise<void>;
  /**
   * The outputs for a batch of the training data. The batch's tensors are valid until the step ends. A teacher that
   * gives a promise draws no random numbers from the run's stream.
   */
  outputs(batch: Batch): Outputs | Promise<Outputs>;
  /**
   * The outputs for samples outside of the training data, in eval mode: a run's agreement. Without it none is reported.
   */
  evaluate?(batch: Batch): Outputs | Promise<Outputs>;
  /** Whether `evaluate` gives the same outputs after each epoch. Default true. */
  readonly isFixed?: boolean;
  /** Starts the outputs of a later batch; `outputs` is called for the batches in the same order. */
  prefetch?(batch: Batch): void;
  /** How many batches of this many rows may be prefetched and not yet taken. Default 1. */
  prefetchDepth?(rows: number): number;
  /** Forgets what was prefetched. */
  discard?(): void;
  /** Called after each step of the optimizer. */
  afterStep?(): void;
  /** The tensors that change with the run, such as BatchNorm's buffers in train mode: kept in its checkpoints. */
  state?(): StateDict;
  /** Releases what it holds; called when the run ends, also without `open` if the loss reads no teacher. */
  close?(): void | Promise<void>;
}

/** Refuses a promise of a method that nothing waits for. */
export function expectNoPromise({ name }: Teacher, method: string, answer: unknown): void {
  if (types.isPromise(answer))
    throw badArgument(`teacher: ${name}: ${method}`, "no promise: nothing waits for it", answer);
}

/** What a teacher gave for a batch, if that is {@link Outputs}; otherwise `BAD_ARGUMENT` that names the teacher. */
export function expectOutputs({ name }: Pick<Teacher, "name">, outputs: unknown): Outputs {
  const { logits, taps } = Object(outputs) as Partial<Outputs>;
  if (logits instanceof Tensor) return { logits, taps: taps ?? {} };
  throw badArgument(`teacher: ${name}`, "{ logits, taps } with a Tensor of logits", logits ?? outputs);
}

/** Outputs whose fused chains, which are computed when they are read, are computed: with the present weights. */
export function computed(outputs: Outputs): Outputs {
  for (const tensor of [outputs.logits, ...Object.values(outputs.taps)]) void tensor.data;
  return outputs;
}

/** What a teacher's {@link Teacher.fingerprint} gives; `BAD_DTYPE` unless it is a text or null. */
export function hashOfTeacher(teacher: Teacher): string | null {
  if (!isTeacher(teacher)) throw badDtype("teacher", "a Teacher", teacher);
  const hash: unknown = (teacher as Teacher).fingerprint();
  if (typeof hash === "string" || hash === null) return hash;
  throw badDtype(`teacher ${show(teacher.name)}: fingerprint()`, "a text or null", hash);
}

/** Refuses anything but a {@link Teacher}. */
export function isTeacher(value: unknown): value is Teacher {
  const { name, fingerprint, outputs } = (value ?? {}) as Partial<Teacher>;
  return typeof name === "string" && typeof fingerprint === "function" && typeof outputs === "function";
}

/** What a loss that needs no teacher finds if it reads one. */
export const NO_TEACHER: Outputs = {
  get logits(): Tensor {
    throw noTeacher();
  },
  get taps(): Outputs["taps"] {
    throw noTeacher();
  },
};

function noTeacher(): DistilleryError {
  return argumentError("loss", "reads the teacher's outputs, but its needsTeacher is false");
}
