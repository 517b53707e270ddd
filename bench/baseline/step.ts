import { PlainAdamW } from "./adamw.js";
import { clipGradNorm } from "./grad_norm.js";
import { kdLoss } from "./kd_loss.js";
import { MersenneTwister } from "./rng.js";
import { PlainStudent } from "./student.js";
import { PlainTeacher } from "./teacher.js";
import type { Weights } from "./weights.js";

/** Where a {@link PlainStep} starts: it keeps these arrays and moves them. */
export interface PlainStepStart {
  /** fc1 to fc4, bn1 to bn3. */
  readonly teacher: Weights;
  /** fc1 to fc3. */
  readonly student: Weights;
  /** The rows of a batch. */
  readonly rows: number;
  /** The random stream that the dropout masks come from, as `Generator.state`. */
  readonly randomState: Uint32Array;
}

/** What the schedule says of a step. */
export interface StepNumbers {
  readonly lr: number;
  readonly beta1: number;
}

/** How the teacher answers: as the script leaves it, in eval mode, or not at all where its logits are given. */
export type TeacherAnswer = "train" | "eval" | Float32Array;

const KD = { temperature: 3.5, alpha: 0.6 };
export const ADAMW = { beta2: 0.999, eps: 1e-8, weightDecay: 1e-5 };
export const MAX_NORM = 1;

/**
 * One step of the script in plain TypeScript, without native code: the teacher without gradients, the student, the
 * distillation loss, the student's gradients, their clipping, AdamW. Nothing is allocated once it is made.
 *
 * @example
 * ```ts
 * const step = new PlainStep({ teacher, student, rows: 64, randomState: generator.state.slice() });
 * const loss = step.run(inputs, labels, { lr: 3e-5, beta1: 0.95 });
 * ```
 */
export class PlainStep {
  readonly student: PlainStudent;
  readonly #teacher: PlainTeacher;
  readonly #optimizer: PlainAdamW;
  #gradLogits: Float32Array | null = null;

  constructor({ teacher, student, rows, randomState }: PlainStepStart) {
    this.#teacher = new PlainTeacher(teacher, rows, new MersenneTwister(randomState));
    this.student = new PlainStudent(student, rows);
    this.#optimizer = new PlainAdamW(this.student.parameters);
  }

  /**
   * Trains on inputs [rows, features] and labels [rows] with what the schedule says; gives the loss from before. `teacher`
   * says how the teacher answers, or is its logits [rows, classes].
   */
  run(inputs: Float32Array, labels: Int32Array, { lr, beta1 }: StepNumbers, teacher: TeacherAnswer = "train"): number {
    const { student } = this;
    const teacherLogits = this.#answer(inputs, teacher);
    const logits = student.forward(inputs);
    this.#gradLogits ??= new Float32Array(logits.length);
    const loss = kdLoss(logits, teacherLogits, labels, this.#gradLogits, KD);
    student.backward(inputs, this.#gradLogits);
    clipGradNorm(student.grads, MAX_NORM);
    this.#optimizer.step(student.grads, { ...ADAMW, lr, beta1 });
    return loss;
  }

  #answer(inputs: Float32Array, teacher: TeacherAnswer): Float32Array {
    if (typeof teacher !== "string") return teacher;
    return teacher === "train" ? this.#teacher.forward(inputs) : this.#teacher.forwardEval(inputs);
  }
}
