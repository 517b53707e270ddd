import type { Work } from "../cases/work.js";
import type { StepSetup } from "./mode.js";

const [FEATURES, CLASSES] = [784, 10];
const FLOATS_OF_ADAMW = 7;

/** The hidden layers of networks `width` times as wide as the script's. */
export function hiddenSizes(width: number): { teacher: [number, number, number]; student: [number, number] } {
  return { teacher: [2048 * width, 1024 * width, 512 * width], student: [512 * width, 256 * width] };
}

/** The lengths of the parameters of a network's linear layers, and of its batch norms where it has them. */
function parameterSizes(hidden: readonly number[], normalised: boolean): number[] {
  const sizes = [FEATURES, ...hidden, CLASSES];
  return sizes.slice(1).flatMap((outputs, i) => {
    const linear = [outputs * sizes[i], outputs];
    return normalised && i < hidden.length ? [...linear, outputs, outputs] : linear;
  });
}

/** The lengths of the script's student's parameters, in order. */
export const STUDENT_SIZES: readonly number[] = parameterSizes(hiddenSizes(1).student, false);
/** The lengths of the script's teacher's parameters, in order. */
export const TEACHER_SIZES: readonly number[] = parameterSizes(hiddenSizes(1).teacher, true);

/**
 * The work of one step: the additions and multiplications of its matrix products, and the memory traffic of AdamW over
 * what it trains (parameter, both averages and gradient read, the first three written).
 */
export function stepWork({ mode, rows, width }: StepSetup): Work {
  const { teacher, student } = hiddenSizes(width);
  const trained = mode === "teacher" ? teacher : student;
  const asked = mode === "train" || mode === "eval" ? forwardFlops(teacher, rows) : 0;
  const parameters = parameterSizes(trained, mode === "teacher").reduce((sum, size) => sum + size, 0);
  return {
    flops: asked + trainingFlops(trained, rows),
    bytes: 4 * FLOATS_OF_ADAMW * parameters,
    draws: 0,
    unit: "FLOP",
  };
}

function layerFlops(hidden: readonly number[], rows: number): number[] {
  const sizes = [FEATURES, ...hidden, CLASSES];
  return sizes.slice(1).map((outputs, i) => 2 * rows * outputs * sizes[i]);
}

function forwardFlops(hidden: readonly number[], rows: number): number {
  return layerFlops(hidden, rows).reduce((sum, flops) => sum + flops, 0);
}

/** Forward, every weight's gradient, and all but the first layer's input gradient. */
function trainingFlops(hidden: readonly number[], rows: number): number {
  return 3 * forwardFlops(hidden, rows) - (layerFlops(hidden, rows)[0] as number);
}
