import { setImmediate } from "node:timers/promises";
import { type Dataset, NO_LABEL } from "../data/dataset.js";
import { labelsOf } from "../data/labels.js";
import { targetsOf } from "../data/targets.js";
import { hasTargets } from "../data/task_name.js";
import { showCount, showPercent } from "../show.js";
import { taskOf } from "../tasks/index.js";
import { mainMetric, metricsOf, showMetric } from "../tasks/metrics.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { Tensor } from "../tensor/tensor.js";

/** Samples that are read before the event loop gets a turn. */
const TURN = 4096;

/**
 * Reports how many of the labelled training samples a teacher with known logits classifies correctly, and warns if
 * always naming the most frequent class would be better: then its rows or columns are not in the data's order.
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
  let [labelled, correct, probable] = [0, 0, 0];
  for (let index = 0; index < labels.length; index++) {
    const label = labels[index];
    if (index % TURN === TURN - 1) await setImmediate();
    if (label === NO_LABEL) continue;
    const logits = logitsOf(index);
    labelled++;
    if (isProbabilities(logits)) probable++;
    if (logits.indexOf(logits.reduce((a, b) => Math.max(a, b))) === label) correct++;
  }
  if (labelled === 0) return;
  if (probable === labelled) {
    onNote(asProbabilities(teacher));
  }
  const accuracy = correct / labelled;
  const text = `teacher: ${teacher}: accuracy ${showPercent(accuracy)} on the ${showCount(labelled)} labelled training samples`;
  const chance = taskOf(data).chance({ labels: new IntTensor(labels) }, data);
  if (accuracy >= chance) return onNote(text);
  const advice = "are its rows the samples, its columns the classes, in the data's order?";
  onNote(`warning: ${text}, less than the ${showPercent(chance)} of their most frequent class: ${advice}`);
}

/** Warns if the outputs [samples, classes] for some samples are probabilities. */
export function noteProbabilities(
  teacher: string,
  data: Dataset,
  onNote: ((text: string) => void) | undefined,
  outputs: Float32Array,
): void {
  if (hasTargets(data)) return;
  const rows = Array.from({ length: outputs.length / data.classes }, (_, i) =>
    outputs.subarray(i * data.classes, (i + 1) * data.classes),
  );
  if (rows.every(isProbabilities)) onNote?.(asProbabilities(teacher));
}

function asProbabilities(teacher: string): string {
  const what = "its outputs look like probabilities (none below 0, each row sums to 1) and are used as logits";
  return `warning: teacher: ${teacher}: ${what}: let it give their logarithms`;
}

function isProbabilities(outputs: Float32Array): boolean {
  const total = outputs.reduce((sum, x) => sum + x, 0);
  return outputs.every((x) => x >= 0) && Math.abs(total - 1) < 1e-3;
}

/** How far above chance, as a fraction of the way to 1, a metric of finitely many samples may be by chance. */
const MARGIN = 0.02;

/**
 * The same for another task: reports the metric, and warns if the teacher is hardly better than outputs that ignore the
 * sample.
 */
async function noteFigure(
  teacher: string,
  data: Dataset,
  onNote: (text: string) => void,
  outputsOf: (index: number) => Float32Array,
): Promise<void> {
  const targets = withGenerator(new Generator(), () => targetsOf(data));
  const { length, classes } = data;
  const outputs = new Tensor(new Float32Array(length * classes), [length, classes]);
  for (let index = 0; index < length; index++) {
    if (index % TURN === TURN - 1) await setImmediate();
    outputs.data.set(outputsOf(index), index * classes);
  }
  const task = taskOf(data);
  const [evaluator, truth] = [task.evaluator(data), { labels: new IntTensor(labelsOf(data)), targets }];
  evaluator.add(outputs, truth);
  const [[metric], value] = [metricsOf(data), mainMetric(data, evaluator.report())];
  const text = `teacher: ${teacher}: ${metric.label} ${showMetric(metric, value)} on the ${showCount(length)} training samples`;
  const chance = task.chance(truth, data);
  if (value > chance + MARGIN * (1 - chance)) return onNote(text);
  const advice = "are its rows the samples, its columns the targets, in the data's order and unit?";
  onNote(
    `warning: ${text}, hardly better than the ${showMetric(metric, chance)} of one that says nothing of them: ${advice}`,
  );
}
