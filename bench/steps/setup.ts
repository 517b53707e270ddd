import {
  Generator,
  Module,
  type Precision,
  ReLU,
  Sequential,
  StudentNet,
  synthetic,
  TeacherNet,
  type Tensor,
  type TensorDataset,
  withGenerator,
} from "distillery";
import type { Work } from "../cases/case.js";

/**
 * The steps that are measured: the script's, with its teacher in train mode; the same with the teacher in eval mode;
 * the student's alone, with known teacher logits; and a step of the teacher's own training.
 */
export const MODES = ["train", "eval", "cached", "teacher"] as const;

/** One of {@link MODES}. */
export type Mode = (typeof MODES)[number];

/** What tables call them. */
export const TITLES: Readonly<Record<Mode, string>> = {
  train: "the script (teacher in train mode)",
  eval: "teacher in eval mode",
  cached: "teacher's logits known",
  teacher: "training of the teacher",
};

/** A step: its mode, the rows of a batch, and the networks' width as a multiple of the script's. */
export interface StepSetup {
  readonly mode: Mode;
  readonly rows: number;
  readonly width: number;
  /** Default: float32. */
  readonly precision?: Precision;
  /** The class of the teacher, whose layers are the same in each. Default: TeacherNet. */
  readonly teacherClass?: TeacherClass;
}

/** What a user may write the teacher's layers as. */
type TeacherClass = "TeacherNet" | "Sequential" | "OwnTeacher";

/** A mode as the script has it. */
export function scriptSetup(mode: Mode): StepSetup {
  return { mode, rows: 64, width: 1 };
}

/** The schedule of every measured run, long enough never to end; PyTorch and plain TypeScript have the same. */
export const SCHEDULE = { maxLr: 6e-4, epochs: 100_000, pctStart: 0.3, divFactor: 20, finalDivFactor: 100 } as const;

/** The size of the script's data set. */
export const EXAMPLES = 1024;

const [FEATURES, CLASSES] = [784, 10];
const FLOATS_OF_ADAMW = 7;

/** The hidden layers of networks `width` times as wide as the script's. */
function hiddenSizes(width: number): { teacher: [number, number, number]; student: [number, number] } {
  return { teacher: [2048 * width, 1024 * width, 512 * width], student: [512 * width, 256 * width] };
}

/** The lengths of the parameters of a network's linear layers, and of its batch norms if `normalised`. */
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
  const teacherFlops = mode === "train" || mode === "eval" ? forwardFlops(teacher, rows) : 0;
  const parameters = parameterSizes(trained, mode === "teacher").reduce((sum, size) => sum + size, 0);
  return {
    flops: teacherFlops + trainingFlops(trained, rows),
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
  return 3 * forwardFlops(hidden, rows) - layerFlops(hidden, rows)[0];
}

/** The initial state of a step: the script's draws of seed 0, in its order. */
export interface Start {
  readonly teacher: TeacherNet;
  /** null if the teacher itself is trained: then it is not drawn. */
  readonly student: StudentNet | null;
  readonly data: TensorDataset;
  /** The stream, with the masks still to come. */
  readonly generator: Generator;
}

/** The networks, the data and the stream of a setup; equal bits at every call. */
export function start({ mode, width }: StepSetup): Start {
  const generator = new Generator(0);
  const hidden = hiddenSizes(width);
  return withGenerator(generator, () => {
    const teacher = new TeacherNet({ hidden: hidden.teacher });
    const student = mode === "teacher" ? null : new StudentNet({ hidden: hidden.student });
    return { teacher, student, data: synthetic({ samples: EXAMPLES }), generator };
  });
}

/** The layers of a TeacherNet as a network of another class. */
export function teacherAs(net: TeacherNet, teacherClass: TeacherClass = "TeacherNet"): Module {
  if (teacherClass === "TeacherNet") return net;
  if (teacherClass === "OwnTeacher") return new OwnTeacher(net);
  const { fc1, bn1, dropout1, fc2, bn2, dropout2, fc3, bn3, dropout3, fc4 } = net;
  const relu = () => new ReLU();
  const hidden = [fc1, bn1, relu(), dropout1, fc2, bn2, relu(), dropout2, fc3, bn3, relu(), dropout3];
  return new Sequential(...hidden, fc4);
}

class OwnTeacher extends Module {
  readonly blocks: readonly Module[];
  readonly last: Module;

  constructor({ fc1, bn1, dropout1, fc2, bn2, dropout2, fc3, bn3, dropout3, fc4 }: TeacherNet) {
    super();
    const block = (...layers: Module[]) => new Sequential(layers[0], layers[1], new ReLU(), layers[2]);
    this.blocks = [block(fc1, bn1, dropout1), block(fc2, bn2, dropout2), block(fc3, bn3, dropout3)];
    this.last = fc4;
  }

  override forward(x: Tensor): Tensor {
    return this.last.forward(this.blocks.reduce((value, block) => block.forward(value), x));
  }
}
