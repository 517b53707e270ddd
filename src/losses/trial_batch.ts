import { noGrad } from "../tensor/autograd.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { Generator, rand, randn, withGenerator } from "../tensor/random.js";
import { step } from "../tensor/step.js";
import { type DistillationLoss, type LossBatch, readsTeacher } from "./loss.js";

const ROWS = 8;

/** The shapes of a sample's outputs, and the number of classes of the labels and targets; undefined: there are none. */
interface TrialShapes {
  readonly student: readonly number[];
  readonly teacher: readonly number[];
  readonly classes?: number;
}

/** What `body` gives for a batch of random outputs, labels and targets, of seed 0. */
export function onTrialBatch<T>({ student, teacher, classes }: TrialShapes, body: (batch: LossBatch) => T): T {
  const outputs = (shape: readonly number[]) => ({ logits: randn([ROWS, ...shape]), taps: {} });
  const indices = Int32Array.from({ length: ROWS }, (_, i) => i);
  const batch = () => ({
    student: outputs(student),
    teacher: outputs(teacher),
    labels: classes === undefined ? null : new IntTensor(indices.map((i) => i % classes)),
    targets: classes === undefined ? null : rand([ROWS, classes]),
    indices,
    epoch: 1,
    epochs: 1,
    step: 0,
    steps: 1,
  });
  return step(() => withGenerator(new Generator(0), () => noGrad(() => body(batch()))));
}

/** What a loss throws on a trial batch; null: nothing. */
export function failureOn(loss: DistillationLoss, shapes: TrialShapes): unknown {
  try {
    onTrialBatch(shapes, (batch) => loss.compute(batch));
    return null;
  } catch (error) {
    return error;
  }
}

/** Whether a loss has a value for logits alone, without labels and hidden outputs. */
export function isLabelFree(loss: DistillationLoss, classes: number): boolean {
  if (!readsTeacher(loss) || !readsOutputsAlone(loss)) return false;
  return failureOn(loss, { student: [classes], teacher: [classes] }) === null;
}

/** Whether a loss reads nothing hidden of the networks. */
export function readsOutputsAlone({ taps, modules = {} }: DistillationLoss): boolean {
  return !taps?.student?.length && !taps?.teacher?.length && Object.keys(modules).length === 0;
}
