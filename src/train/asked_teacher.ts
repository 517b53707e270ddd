import type { Dataset } from "../data/dataset.js";
import type { Epoch } from "../data/epoch.js";
import { isCheapToRepeat } from "../data/repeat.js";
import type { Module } from "../nn/module.js";
import { noGrad } from "../tensor/autograd.js";
import { currentGenerator } from "../tensor/random.js";
import type { Tensor } from "../tensor/tensor.js";
import { isListening } from "../tensor/trace.js";
import { FrozenCopy } from "./frozen_copy.js";

/** Answers that were begun in vain, one after another, until none is begun any more. */
const PATIENCE = 3;

/**
 * A teacher that is asked at each step. Where its layers are known, its answer to the next batch is begun while the
 * student takes its step, on the threads that the student's small kernels leave idle. The bits stay the same: an answer
 * counts only where batch, random stream, statistics and weights turn out to be those that it began with.
 */
export class AskedTeacher {
  readonly #teacher: Module;
  readonly #student: Module;
  readonly #isRepeatable: boolean;
  readonly #augmented: boolean;
  /** Made when it is first asked for; null where there can be none. */
  #copy: FrozenCopy | null | undefined;
  #inVain = 0;

  constructor(teacher: Module, student: Module, data: Dataset) {
    this.#teacher = teacher;
    this.#student = student;
    this.#isRepeatable = isCheapToRepeat(data);
    this.#augmented = data.augmented === true;
  }

  /** The logits [n, classes] of batch `i` of an epoch, whose inputs are these [n, features]. */
  logits(batches: Epoch, i: number, inputs: Tensor): Tensor {
    const copy = this.#current();
    const training = copy?.training ?? null;
    const fits = inputs.shape.length === 2 && inputs.shape[1] === copy?.inFeatures;
    if (copy === null || training === null || !fits || isListening()) {
      return noGrad(() => this.#teacher.forward(inputs));
    }
    // What is random in the next batch is drawn after this answer, everything else can be at hand before it.
    const next = this.#augmented ? null : this.#next(batches, i);
    const { logits, hadBegun } = copy.logits(inputs, training);
    if (i > 0) this.#inVain = hadBegun ? 0 : this.#inVain + 1;
    const ahead = this.#augmented ? this.#next(batches, i) : next;
    if (ahead !== null) copy.begin(ahead, training);
    return logits;
  }

  #current(): FrozenCopy | null {
    if (this.#copy === undefined) {
      const trained = new Set(this.#student.parameters());
      const stays = !this.#teacher.parameters().some((parameter) => trained.has(parameter));
      this.#copy = stays ? FrozenCopy.of(this.#teacher) : null;
    }
    // A teacher that somebody trains meanwhile is asked as any other.
    if (this.#copy?.isCurrent === false) this.#copy = null;
    return this.#copy;
  }

  /** The inputs of the batch after batch `i`, where they are known; what they draw is drawn again when their turn comes. */
  #next(batches: Epoch, i: number): Tensor | null {
    if (!this.#isRepeatable || this.#inVain >= PATIENCE) return null;
    // In the data's own order the next epoch begins as this one did.
    const next = i + 1 < batches.length ? i + 1 : 0;
    if (next === 0 && batches.order !== null) return null;
    const { state } = currentGenerator();
    const before = state.slice();
    const { inputs } = batches.batch(next);
    state.set(before);
    return inputs;
  }
}
