import { setImmediate } from "node:timers/promises";
import { load } from "../checkpoint/index.js";
import type { Dataset } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import type { Module } from "../nn/module.js";
import { argmax } from "../tensor/reductions.js";
import { type Evaluation, evaluate, logitsOf } from "../train/index.js";

/** Reads the test set: made when all training is done. The teacher answers once. */
export class Examiner {
  readonly teacherEvaluation: Evaluation;
  readonly #teacherClasses: Int32Array;

  constructor(
    private readonly test: Dataset,
    teacher: Module,
    /** Takes the weights of one file after the other. */
    private readonly student: Module,
    private readonly signal: AbortSignal,
  ) {
    this.teacherEvaluation = evaluate(teacher, test);
    this.#teacherClasses = classesOf(teacher, test);
  }

  /** How the student does with the weights of a file. */
  async examine(file: string): Promise<Evaluation> {
    await setImmediate();
    if (this.signal.aborted) throw new DistilleryError("ABORTED", "stopped while the test set was read");
    this.student.loadStateDict(await load(file));
    const classes = classesOf(this.student, this.test);
    const alike = classes.reduce((count, own, i) => count + Number(own === this.#teacherClasses[i]), 0);
    return {
      ...evaluate(this.student, this.test),
      teacherAccuracy: this.teacherEvaluation.accuracy,
      agreement: alike / classes.length,
    };
  }
}

function classesOf(model: Module, data: Dataset): Int32Array {
  return argmax(logitsOf(model, data)).data;
}
