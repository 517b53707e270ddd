import { AdamW, noGrad, OneCycleLR } from "distillery";
import { PlainStep, type TeacherAnswer } from "../baseline/step.js";
import { PlainTeacherStep } from "../baseline/teacher_step.js";
import { copyWeights } from "../copy_weights.js";
import { cycle } from "./cycle.js";
import { SCHEDULE, type StepSetup } from "./mode.js";
import { type Start, start } from "./networks.js";

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
    const loss = body(inputs.data, labels.data, { lr: optimizer.lr, beta1: optimizer.betas[0] }, start);
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
    const teacherAnswer: TeacherAnswer = known ?? (mode === "train" ? "train" : "eval");
    return step.run(inputs, labels, numbers, teacherAnswer);
  };
}
