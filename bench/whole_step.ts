import {
  AdamW,
  clipGradNorm,
  type IntTensor,
  kdLoss,
  manualSeed,
  noGrad,
  OneCycleLR,
  randint,
  randn,
  StudentNet,
  TeacherNet,
  type Tensor,
} from "distillery";
import { PlainStep } from "./baseline/step.js";
import type { Weights } from "./baseline/weights.js";
import { copyWeights } from "./copy_weights.js";

const [EXAMPLES, ROWS, FEATURES, CLASSES] = [1024, 64, 784, 10];
const SCHEDULE = { maxLr: 6e-4, epochs: 150, stepsPerEpoch: 16, pctStart: 0.3, divFactor: 20, finalDivFactor: 100 };

/** The script's step by the library, as a user writes it, and by plain TypeScript, from the same weights and stream. */
export interface BothSteps {
  /** One step on the next batch; gives the loss. */
  kernels(): number;
  /** The same by plain TypeScript; it keeps its own count of batches. */
  plain(): number;
  /** The multiplications and additions in the matrix products of one step. */
  readonly flops: number;
}

/** Both implementations at the script's beginning, seed 0. */
export function bothSteps(): BothSteps {
  const generator = manualSeed(0);
  const teacher = new TeacherNet().freeze();
  const student = new StudentNet();
  const [x, y] = [randn([EXAMPLES, FEATURES]), randint(0, CLASSES, [EXAMPLES])];
  const start = { teacher: copyWeights(teacher), student: copyWeights(student), rows: ROWS };
  const plain = new PlainStep({ ...start, randomState: generator.state.slice() });
  const [forKernels, forPlain] = [cycle(x, y), cycle(x, y)];
  const optimizer = new AdamW(student.parameters(), { lr: SCHEDULE.maxLr, weightDecay: 1e-5 });
  const scheduler = new OneCycleLR(optimizer, SCHEDULE);
  // The plain step takes the schedule's numbers from a second optimizer that never moves anything.
  const schedule = new AdamW(student.parameters());
  const scheduled = new OneCycleLR(schedule, SCHEDULE);
  return {
    kernels: () => kernelStep(teacher, student, optimizer, scheduler, forKernels()),
    plain: () => {
      const { inputs, labels } = forPlain();
      const loss = plain.run(inputs.data, labels.data, { lr: schedule.lr, beta1: schedule.betas[0] });
      advance(scheduled);
      return loss;
    },
    flops: stepFlops(start.teacher, start.student),
  };
}

interface Batch {
  readonly inputs: Tensor;
  readonly labels: IntTensor;
}

function kernelStep(
  teacher: TeacherNet,
  student: StudentNet,
  optimizer: AdamW,
  scheduler: OneCycleLR,
  { inputs, labels }: Batch,
): number {
  const teacherLogits = noGrad(() => teacher.forward(inputs));
  const loss = kdLoss(student.forward(inputs), teacherLogits, labels, { temperature: 3.5, alpha: 0.6 });
  optimizer.zeroGrad();
  loss.backward();
  clipGradNorm(student.parameters(), 1.0);
  optimizer.step();
  advance(scheduler);
  return loss.item();
}

/** Begins again where the schedule ends: a benchmark may take more steps than the script. */
function advance(scheduler: OneCycleLR): void {
  if (scheduler.lastStep === scheduler.totalSteps) scheduler.restore(0);
  scheduler.step();
}

/** The batches in order, over and over. */
function cycle(x: Tensor, y: IntTensor): () => Batch {
  let next = 0;
  return () => {
    const start = next;
    next = (next + ROWS) % EXAMPLES;
    return { inputs: x.slice(start, start + ROWS), labels: y.slice(start, start + ROWS) };
  };
}

/** Both forward passes, and of the student every weight's gradient and all but the first layer's input gradient. */
function stepFlops(teacher: Weights, student: Weights): number {
  const products = (weights: Weights) =>
    ["fc1", "fc2", "fc3", "fc4"].map((name) => 2 * ROWS * (weights[`${name}.weight`]?.length ?? 0));
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const ofStudent = products(student);
  return sum(products(teacher)) + 2 * sum(ofStudent) + sum(ofStudent.slice(1));
}
