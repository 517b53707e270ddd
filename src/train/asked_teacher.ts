import type { Dataset } from "../data/dataset.js";
import { isReplayable } from "../data/dataset.js";
import type { EpochBatches } from "../data/loader.js";
import type { Module } from "../nn/module.js";
import { noGrad } from "../tensor/autograd.js";
import { currentGenerator, Generator, withGenerator } from "../tensor/random.js";
import type { Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";
import { getNumThreads } from "../threads.js";
import { FrozenCopy } from "./frozen_copy.js";

/** Answers that are begun ahead, at most: enough that no thread waits for the next one. */
const AHEAD = 4;
/** The bytes that these may hold together: kernels of larger batches use all threads anyway. */
const ROOM = 128e6;
/** Steps one after another whose answer was begun in vain, until none is begun any more. */
const PATIENCE = 3;

/**
 * A teacher that is asked at each step. Where its layers are known, its answers to the next batches are begun while the
 * student takes its step, on the threads that the student's small kernels leave idle. The bits stay the same: an answer
 * counts only where batch, random stream, statistics and weights turn out to be those that it began with.
 */
export class AskedTeacher {
  readonly #teacher: Module;
  readonly #student: Module;
  readonly #isRepeatable: boolean;
  /** Made when it is first asked for; null where there can be none. */
  #copy: FrozenCopy | null | undefined;
  /** The answers that have begun, and the random stream as it will stand after their draws. */
  #begun = 0;
  readonly #later = new Generator();
  #inVain = 0;

  constructor(teacher: Module, student: Module, data: Dataset) {
    this.#teacher = teacher;
    this.#student = student;
    this.#isRepeatable = isReplayable(data);
  }

  /** The logits [n, classes] of batch `i` of an epoch, whose inputs are these [n, features]. */
  logits(batches: EpochBatches, i: number, inputs: Tensor): Tensor {
    const copy = this.#current();
    const training = copy?.training ?? null;
    const fits = inputs.shape.length === 2 && inputs.shape[1] === copy?.inFeatures;
    if (copy === null || training === null || !fits || isTracing()) {
      return noGrad(() => this.#teacher.forward(inputs));
    }
    const guessed = this.#begun > 0;
    const most = this.#mostAhead(copy, inputs.shape[0] as number);
    if (!guessed) {
      this.#later.copyFrom(currentGenerator());
      this.#lookAhead(Math.min(most, batches.length - i), (k) => {
        copy.begin(k === 0 ? inputs : batches.batch(i + k).inputs, training);
      });
    }
    const { logits, hadBegun } = copy.logits(inputs, training);
    if (guessed) this.#inVain = hadBegun ? 0 : this.#inVain + 1;
    this.#begun = hadBegun ? this.#begun - 1 : 0;
    if (hadBegun) {
      this.#lookAhead(Math.min(most, batches.length - i - 1), (k) => {
        copy.begin(batches.batch(i + 1 + k).inputs, training);
      });
    }
    return logits;
  }

  /** Lets its memory go; it may still be asked. */
  release(): void {
    this.#copy?.release();
    this.#copy = null;
  }

  #current(): FrozenCopy | null {
    if (this.#copy === undefined) {
      const trained = new Set(this.#student.parameters());
      const stays = !this.#teacher.parameters().some((parameter) => trained.has(parameter));
      this.#copy = stays ? FrozenCopy.of(this.#teacher) : null;
    }
    // A teacher that somebody trains meanwhile is asked as any other.
    if (this.#copy?.isCurrent === false) this.release();
    return this.#copy;
  }

  /** How many answers may be under way, to batches of so many rows. */
  #mostAhead(copy: FrozenCopy, rows: number): number {
    const threads = this.#isRepeatable && this.#inVain < PATIENCE ? getNumThreads() : 1;
    return threads < 2 ? 0 : Math.min(AHEAD, threads + 1, Math.floor(ROOM / copy.passBytes(rows)));
  }

  /** Begins answers until so many are under way; what they draw is drawn again when their turn comes. */
  #lookAhead(most: number, begin: (k: number) => void): void {
    for (; this.#begun < most; this.#begun += 1) withGenerator(this.#later, () => begin(this.#begun));
  }
}
