import {
  AdamW,
  clipGradNorm,
  DataLoader,
  frozen,
  type IntTensor,
  kdLoss,
  noGrad,
  OneCycleLR,
  prefetch,
  step,
  type TaughtBatch,
  type Teacher,
  type Tensor,
  type TensorDataset,
  withGenerator,
} from "distillery";
import { copyWeights } from "../baseline/networks.js";
import { PlainStep, PlainTeacherStep, type TeacherMode } from "../baseline/steps.js";
import { SCHEDULE, type Start, type StepSetup, start } from "./setup.js";

/** A batch, and the index of its first sample. */
interface CycledBatch {
  readonly inputs: Tensor;
  readonly labels: IntTensor;
  readonly start: number;
}

/** The batches of a data set in order, over and over. */
export function cycle(data: TensorDataset, rows: number): { readonly length: number; next(): CycledBatch } {
  let at = 0;
  return {
    length: data.length / rows,
    next: () => {
      const start = at;
      at = (at + rows) % data.length;
      const { inputs, labels } = data.slice(start, start + rows);
      return { inputs, labels, start };
    },
  };
}

/**
 * A step as a user writes it with the library's functions, outside of its loops: `step` around it, and the teacher
 * frozen and prefetched. Returns the next loss at each call, the same bits as the loops'.
 */
export function stepByHand(setup: StepSetup): () => number {
  const { teacher, student, data, generator } = start(setup);
  if (student === null) throw new Error("stepByHand: expected a mode with a student");
  const loader = new DataLoader(data, { batchSize: setup.rows });
  const batches = endless(loader, frozen(teacher.freeze(), { mode: setup.mode === "train" ? "train" : "eval" }));
  const optimizer = new AdamW(student.parameters(), { lr: SCHEDULE.maxLr, weightDecay: 1e-5 });
  const scheduler = new OneCycleLR(optimizer, { ...SCHEDULE, stepsPerEpoch: loader.length });
  return () =>
    withGenerator(generator, () => {
      const { inputs, labels, teacher: outputs } = batches.next().value;
      return step(() => {
        const loss = kdLoss(student.forward(inputs), outputs.logits, labels, { temperature: 3.5, alpha: 0.6 });
        optimizer.zeroGrad();
        loss.backward();
        clipGradNorm(student.parameters(), 1.0);
        optimizer.step();
        scheduler.step();
        return loss.item();
      });
    });
}

/** The batches of epoch after epoch. */
function* endless(loader: DataLoader, teacher: Teacher): Generator<TaughtBatch> {
  for (;;) yield* prefetch(loader, teacher);
}

/** The step of a setup in plain TypeScript, from the library's weights and stream; gives the next loss at each call. */
export function plainStep(setup: StepSetup): () => number {
  const begin = start(setup);
  const body = begin.student === null ? trainingBody(setup, begin) : distillationBody(setup, begin);
  const batches = cycle(begin.data, setup.rows);
  // The schedule's numbers come from an optimizer of the library that never moves anything.
  const optimizer = new AdamW(begin.teacher.parameters());
  const scheduler = new OneCycleLR(optimizer, { ...SCHEDULE, stepsPerEpoch: batches.length });
  return () => {
    const { inputs, labels, start } = batches.next();
    const [{ lr, betas }] = optimizer.paramGroups;
    const loss = body(inputs.data, labels.data, { lr, beta1: betas[0] }, start);
    scheduler.step();
    return loss;
  };
}

type Body = (inputs: Float32Array, labels: Int32Array, numbers: { lr: number; beta1: number }, start: number) => number;

function trainingBody({ rows }: StepSetup, { teacher, generator }: Start): Body {
  const step = new PlainTeacherStep(copyWeights(teacher), rows, generator.state.slice());
  return (inputs, labels, numbers) => step.run(inputs, labels, numbers);
}

function distillationBody({ mode, rows }: StepSetup, { teacher, student, data, generator }: Start): Body {
  if (student === null) throw new Error("distillationBody: expected a student");
  const randomState = generator.state.slice();
  const step = new PlainStep({ teacher: copyWeights(teacher), student: copyWeights(student), rows, randomState });
  const logits = mode === "cached" ? noGrad(() => teacher.eval().forward(data.inputs)) : null;
  const width = data.classes;
  return (inputs, labels, numbers, start) => {
    const known = logits?.data.subarray(start * width, (start + rows) * width);
    const teacherMode: TeacherMode = known ?? (mode === "train" ? "train" : "eval");
    return step.run(inputs, labels, numbers, teacherMode);
  };
}
