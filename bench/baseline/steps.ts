import {
  type BatchNormGradients,
  type BatchNormLayer,
  batchNormBackward,
  batchNormGradients,
  batchNormTrain,
} from "./batch_norm.js";
import { type LinearGradients, type LinearLayer, linearBackward, linearForward, linearGradients } from "./linear.js";
import { crossEntropy, kdLoss } from "./losses.js";
import { DROPOUT, linearOf, normOf, PlainStudent, PlainTeacher, type Weights } from "./networks.js";
import { clipGradNorm, PlainAdamW } from "./optimizer.js";
import { dropout, MersenneTwister } from "./random.js";

/** The initial state of a {@link PlainStep}, which keeps these arrays and changes them. */
interface PlainStepStart {
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
interface StepNumbers {
  readonly lr: number;
  readonly beta1: number;
}

/** The teacher's mode, or its logits if they are known. */
export type TeacherMode = "train" | "eval" | Float32Array;

const KD = { temperature: 3.5, alpha: 0.6 };
const ADAMW = { beta2: 0.999, eps: 1e-8, weightDecay: 1e-5 };
const MAX_NORM = 1;

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
   * Trains on inputs [rows, features] and labels [rows] with what the schedule says; gives the loss from before.
   * `teacher` is the teacher's mode, or its logits [rows, classes].
   */
  run(inputs: Float32Array, labels: Int32Array, { lr, beta1 }: StepNumbers, teacher: TeacherMode = "train"): number {
    const { student } = this;
    const teacherLogits = this.#teacherLogits(inputs, teacher);
    const logits = student.forward(inputs);
    this.#gradLogits ??= new Float32Array(logits.length);
    const loss = kdLoss(logits, teacherLogits, labels, this.#gradLogits, KD);
    student.backward(inputs, this.#gradLogits);
    clipGradNorm(student.grads, MAX_NORM);
    this.#optimizer.step(student.grads, { ...ADAMW, lr, beta1 });
    return loss;
  }

  #teacherLogits(inputs: Float32Array, teacher: TeacherMode): Float32Array {
    if (typeof teacher !== "string") return teacher;
    return teacher === "train" ? this.#teacher.forward(inputs) : this.#teacher.forwardEval(inputs);
  }
}

interface Block {
  readonly linear: LinearLayer;
  readonly linearGrads: LinearGradients;
  readonly norm: BatchNormLayer;
  readonly normGrads: BatchNormGradients;
  readonly p: number;
  readonly keep: Uint8Array;
  /** After batch norm, ReLU and dropout, [rows, outputs]. */
  readonly out: Float32Array;
}

/** One step of the teacher's training in plain TypeScript: cross-entropy, all gradients, their clipping, AdamW. */
export class PlainTeacherStep {
  /** fc1.weight, fc1.bias, bn1.weight, bn1.bias, and so on. */
  readonly parameters: readonly Float32Array[];
  /** In the order of the parameters. */
  readonly grads: readonly Float32Array[];
  readonly #blocks: readonly Block[];
  readonly #last: LinearLayer;
  readonly #lastGrads: LinearGradients;
  readonly #gradLogits: Float32Array;
  readonly #random: MersenneTwister;
  readonly #optimizer: PlainAdamW;

  /** On the arrays of `weights`, which move, for batches of `rows`; masks come from the stream of `randomState`. */
  constructor(weights: Weights, rows: number, randomState: Uint32Array) {
    this.#blocks = DROPOUT.map((p, i) => blockOf(weights, i, rows, p));
    this.#last = linearOf(weights, 4, rows);
    this.#lastGrads = linearGradients(this.#last, true);
    this.#gradLogits = new Float32Array(this.#last.out.length);
    this.#random = new MersenneTwister(randomState);
    const inOrder = [...this.#blocks.flatMap(({ linear, norm }) => [linear, norm]), this.#last];
    const gradsInOrder = [
      ...this.#blocks.flatMap(({ linearGrads, normGrads }) => [linearGrads, normGrads]),
      this.#lastGrads,
    ];
    this.parameters = inOrder.flatMap(({ weight, bias }) => [weight, bias]);
    this.grads = gradsInOrder.flatMap(({ weight, bias }) => [weight, bias]);
    this.#optimizer = new PlainAdamW(this.parameters);
  }

  /** Trains on inputs [rows, features] and labels [rows] with what the schedule says; gives the loss from before. */
  run(inputs: Float32Array, labels: Int32Array, { lr, beta1 }: StepNumbers): number {
    const loss = crossEntropy(this.#forward(inputs), labels, this.#gradLogits);
    this.#backward(inputs);
    clipGradNorm(this.grads, MAX_NORM);
    this.#optimizer.step(this.grads, { ...ADAMW, lr, beta1 });
    return loss;
  }

  #forward(x: Float32Array): Float32Array {
    let value = x;
    for (const { linear, norm, p, keep, out } of this.#blocks) {
      batchNormTrain(norm, linearForward(linear, value, false), out, linear.rows);
      dropout(out, p, this.#random, keep);
      value = out;
    }
    return linearForward(this.#last, value, false);
  }

  #backward(x: Float32Array): void {
    const blocks = this.#blocks;
    linearBackward(this.#last, this.#lastGrads, (blocks.at(-1) as Block).out, this.#gradLogits);
    let grad = this.#lastGrads.input;
    for (let i = blocks.length - 1; i >= 0 && grad !== null; i--) {
      const { linear, linearGrads, norm, normGrads, p, out } = blocks[i];
      dropoutReluBackward(grad, out, p);
      batchNormBackward(norm, normGrads, linear.out, grad, grad, linear.rows);
      linearBackward(linear, linearGrads, i === 0 ? x : blocks[i - 1].out, grad);
      grad = linearGrads.input;
    }
  }
}

function blockOf(weights: Weights, i: number, rows: number, p: number): Block {
  const [linear, norm] = [linearOf(weights, i + 1, rows), normOf(weights, i + 1)];
  const size = linear.out.length;
  return {
    linear,
    linearGrads: linearGradients(linear, i > 0),
    norm,
    normGrads: batchNormGradients(norm),
    p,
    keep: new Uint8Array(size),
    out: new Float32Array(size),
  };
}

/** The gradient, in place, through dropout and ReLU at once: `out` is above zero if both let the value pass. */
function dropoutReluBackward(grad: Float32Array, out: Float32Array, p: number): void {
  const scale = 1 / (1 - p);
  for (let i = 0; i < grad.length; i++) grad[i] = out[i] > 0 ? grad[i] * scale : 0;
}
