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
  #looksAhead: boolean;
  /** Made when it is first asked for; null where there can be none. */
  #copy: FrozenCopy | null | undefined;
  #inVain = 0;

  constructor(teacher: Module, student: Module, data: Dataset) {
    this.#teacher = teacher;
    this.#student = student;
    this.#looksAhead = isCheapToRepeat(data);
  }

  /** The logits [n, classes] of batch `i` of an epoch, whose inputs are these [n, features]. */
  logits(batches: Epoch, i: number, inputs: Tensor): Tensor {
    const copy = this.#current();
    const training = copy?.training ?? null;
    const fits = inputs.shape.length === 2 && inputs.shape[1] === copy?.inFeatures;
    if (copy === null || training === null || !fits || isListening()) {
      return noGrad(() => this.#teacher.forward(inputs));
    }
    const { logits, hadBegun } = copy.logits(inputs, training);
    if (this.#looksAhead) {
      this.#inVain = hadBegun || i === 0 ? 0 : this.#inVain + 1;
      this.#looksAhead = this.#inVain < PATIENCE;
      if (i + 1 < batches.length) this.#begin(copy, batches, i + 1, training);
    }
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

  /** Data that are augmented draw for the next batch now, and the same again when its turn comes. */
  #begin(copy: FrozenCopy, batches: Epoch, i: number, training: boolean): void {
    const { state } = currentGenerator();
    const before = state.slice();
    copy.begin(batches.batch(i).inputs, training);
    state.set(before);
  }
}
