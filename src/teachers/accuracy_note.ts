import { setImmediate } from "node:timers/promises";
import { type Dataset, labelsOf, NO_LABEL } from "../data/dataset.js";
import { hasTargets, targetsOf } from "../data/targets.js";
import { showCount } from "../show_count.js";
import { figuresOf, mainFigure, showFigure } from "../tasks/figures.js";
import { taskOf } from "../tasks/index.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { Tensor } from "../tensor/tensor.js";

/** Samples that are read before other work gets its turn. */
const TURN = 4096;

/**
 * Says how many of the labelled training samples a teacher classifies right, whose logits are all known, with a warning if it
 * does worse than always naming the most frequent class: its rows or columns are then not in the data's order.
 */
export async function noteAccuracy(
  teacher: string,
  data: Dataset,
  onNote: ((text: string) => void) | undefined,
  logitsOf: (index: number) => Float32Array,
): Promise<void> {
  if (onNote === undefined) return;
  if (hasTargets(data)) return noteFigure(teacher, data, onNote, logitsOf);
  const labels = withGenerator(new Generator(), () => labelsOf(data));
  const counts = new Array<number>(data.classes).fill(0);
  let [labelled, correct] = [0, 0];
  for (const [index, label] of labels.entries()) {
    if (index % TURN === TURN - 1) await setImmediate();
    if (label === NO_LABEL) continue;
    const logits = logitsOf(index);
    labelled++;
    counts[label]++;
    if (logits.indexOf(logits.reduce((a, b) => Math.max(a, b))) === label) correct++;
  }
  if (labelled === 0) return;
  const share = (count: number) => `${((100 * count) / labelled).toFixed(2)}%`;
  const text = `teacher: ${teacher}: accuracy ${share(correct)} on the ${showCount(labelled)} labelled training samples`;
  const most = Math.max(...counts);
  if (correct >= most) return onNote(text);
  const advice = "are its rows the samples, its columns the classes, in the data's order?";
  onNote(`warning: ${text}, less than the ${share(most)} of their most frequent class: ${advice}`);
}

/** The same of another task: its figure, with a warning if the teacher does no better than the targets' mean. */
async function noteFigure(
  teacher: string,
  data: Dataset,
  onNote: (text: string) => void,
  outputsOf: (index: number) => Float32Array,
): Promise<void> {
  const targets = withGenerator(new Generator(), () => targetsOf(data)) as Tensor;
  const { length, classes } = data;
  const outputs = new Tensor(new Float32Array(length * classes), [length, classes]);
  for (let index = 0; index < length; index++) {
    if (index % TURN === TURN - 1) await setImmediate();
    outputs.data.set(outputsOf(index), index * classes);
  }
  const evaluating = taskOf(data).evaluating(data);
  evaluating.add(outputs, { labels: new IntTensor(labelsOf(data)), targets });
  const [[figure], value] = [figuresOf(data), mainFigure(data, evaluating.report())];
  const text = `teacher: ${teacher}: ${figure.label} ${showFigure(figure, value)} on the ${showCount(length)} training samples`;
  if (value > 0) return onNote(text);
  const advice = "are its rows the samples, its columns the targets, in the data's order and unit?";
  onNote(`warning: ${text}, no better than always the same: ${advice}`);
}
