import { noGrad } from "../tensor/autograd.js";
import { Generator, randn, withGenerator } from "../tensor/random.js";
import { step } from "../tensor/step.js";
import type { DistillationLoss } from "./loss.js";

const ROWS = 8;

/** Whether a loss has a value for logits alone, without labels and hidden outputs. */
export function isLabelFree(loss: DistillationLoss, classes: number): boolean {
  const { needsTeacher, taps, modules = {} } = loss;
  const isMore = taps?.student?.length || taps?.teacher?.length || Object.keys(modules).length > 0;
  if (!needsTeacher || isMore) return false;
  const outputs = () => ({ logits: randn([ROWS, classes]), taps: {} });
  const indices = Int32Array.from({ length: ROWS }, (_, i) => i);
  const value = () =>
    loss.compute({ student: outputs(), teacher: outputs(), labels: null, indices, epoch: 1, epochs: 1 });
  try {
    step(() => withGenerator(new Generator(0), () => noGrad(value)));
    return true;
  } catch {
    return false;
  }
}
