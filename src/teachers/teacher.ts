import { types } from "node:util";
import { argumentError, badArgument, badDtype, show } from "../checks.js";
import type { Batch, Dataset } from "../data/dataset.js";
import type { DistilleryError } from "../errors.js";
import type { Outputs } from "../losses/loss.js";
import type { Module } from "../nn/module.js";
import type { StateDict } from "../nn/state_dict.js";
import type { Precision } from "../tensor/precision.js";
import { Tensor } from "../tensor/tensor.js";

/** What a teacher is opened with. */
export interface TeacherRun {
  readonly data: Dataset;
  /** The paths of modules whose outputs the loss reads. */
  readonly taps: readonly string[];
  /** The network that is taught; undefined in a program's own loop. */
  readonly student?: Module;
  /** Whether the loss is known to read logits alone, and no labels. */
  readonly labelFree?: () => boolean;
  /** What `evaluate` will be called for; null: nothing. */
  readonly validation?: Dataset | null;
  /** The precision of the products of its linear layers; default: the current one. */
  readonly precision?: Precision;
}

/** What a teacher prepares for. */
export interface PreparedRun {
  /** The run's folder; null: none. */
  readonly out: string | null;
  /** Whether each sample's outputs are requested once, so that nothing needs to be computed ahead. Default false. */
  readonly once?: boolean;
  readonly signal?: AbortSignal;
  /** In a run that several ranks share: computes something on the first rank, and returns it on all of them. */
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
  /** Its name in logs and in `config.json`. */
  readonly name: string;
  /** Distinguishes teachers with different outputs, like the SHA-256 of their weights; null if unknown. */
  fingerprint(): string | null;
  /**
   * Called before a run is set up. Refuses (`BAD_ARGUMENT`) a run for which it has no outputs: other data, another
   * precision, or hidden outputs that it does not have. If your own teacher keeps state of the run, it can teach one
   * run at a time; the library's teach any number.
   */
  open?(run: TeacherRun): void;
  /**
   * Called once after `open`, before the first step of a run, for slow work such as querying a server. Not called in a
   * dry run.
   */
  prepare?(run: PreparedRun): Promise<void>;
  /**
   * The outputs for a batch of the training data. The batch's tensors are valid until the step ends. A teacher that
   * returns a promise must draw no random numbers from the run's stream.
   */
  outputs(batch: Batch): Outputs | Promise<Outputs>;
  /**
   * The outputs for samples outside of the training data, in eval mode, for a run's agreement. Without it no agreement
   * is reported.
   */
  evaluate?(batch: Batch): Outputs | Promise<Outputs>;
  /** Whether `evaluate` returns the same outputs after each epoch. Default true. */
  readonly isFixed?: boolean;
  /** Starts computing the outputs of a later batch; `outputs` is called for the batches in the same order. */
  prefetch?(batch: Batch): void;
  /** How many batches with this many rows may be prefetched and not yet requested. Default 1. */
  prefetchDepth?(rows: number): number;
  /** Discards what was prefetched. */
  discard?(): void;
  /** Called after each step of the optimizer. */
  afterStep?(): void;
  /** The tensors that change during the run, such as BatchNorm's buffers in train mode; stored in its checkpoints. */
  state?(): StateDict;
  /** Releases its resources. Called when the run ends, even without `open` if the loss reads no teacher. */
  close?(): void | Promise<void>;
}

/** Refuses a promise from a method that nothing awaits. */
export function expectNoPromise({ name }: Teacher, method: string, answer: unknown): void {
  if (types.isPromise(answer))
    throw badArgument(`teacher: ${name}: ${method}`, "no promise: nothing waits for it", answer);
}

/** Checks that a teacher returned {@link Outputs} for a batch; the `BAD_ARGUMENT` names the teacher. */
export function expectOutputs({ name }: Pick<Teacher, "name">, outputs: unknown): Outputs {
  const { logits, taps } = Object(outputs) as Partial<Outputs>;
  if (logits instanceof Tensor) return { logits, taps: taps ?? {} };
  throw badArgument(`teacher: ${name}`, "{ logits, taps } with a Tensor of logits", logits ?? outputs);
}

/** Outputs whose deferred chains, which are computed when they are read, are computed now, with the current weights. */
export function computed(outputs: Outputs): Outputs {
  for (const tensor of [outputs.logits, ...Object.values(outputs.taps)]) void tensor.data;
  return outputs;
}

/**
 * What a teacher's {@link Teacher.fingerprint} gives: a text that identifies its outputs, or null if there is none.
 *
 * @throws DistilleryError `BAD_DTYPE` for what is no teacher, and unless the fingerprint is a text or null.
 * @example
 * ```ts
 * const hash = hashOfTeacher(live(network)); // of its weights
 * ```
 */
export function hashOfTeacher(teacher: Teacher): string | null {
  if (!isTeacher(teacher)) throw badDtype("teacher", "a Teacher", teacher);
  const hash: unknown = teacher.fingerprint();
  if (typeof hash === "string" || hash === null) return hash;
  throw badDtype(`teacher ${show(teacher.name)}: fingerprint()`, "a text or null", hash);
}

/** Refuses anything but a {@link Teacher}. */
export function isTeacher(value: unknown): value is Teacher {
  const { name, fingerprint, outputs } = (value ?? {}) as Partial<Teacher>;
  return typeof name === "string" && typeof fingerprint === "function" && typeof outputs === "function";
}

/** The outputs that a loss with `needsTeacher: false` gets: reading them throws. */
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
