import { NO_LABEL } from "../data/dataset.js";
import { labelsOf } from "../data/labels.js";
import { crossEntropyDistillationLoss } from "../losses/cross_entropy.js";
import { kdDistillationLoss } from "../losses/kd_loss.js";
import { argmax } from "../ops/max.js";
import { ClassificationMetrics } from "./classification_metrics.js";
import type { Evaluation } from "./evaluation.js";
import { classPredictions, predictedClasses } from "./prediction.js";
import type { Task } from "./task.js";

/** One class a sample: cross-entropy with labels, the divergence of softened probabilities from a teacher's. */
export const classification: Task<Evaluation> = {
  name: "classification",
  help: "one class a sample",
  reads: ["temperature", "alpha", "labelSmoothing"],
  hardLoss: ({ labelSmoothing }) => crossEntropyDistillationLoss({ labelSmoothing }),
  distillationLoss: kdDistillationLoss,
  width: (classes) => classes,
  evaluator({ classes }) {
    const metrics = new ClassificationMetrics(classes);
    return {
      add: (outputs, { labels }, teacher) => void metrics.add(outputs, labels.data, teacher as Int32Array | undefined),
      report: () => metrics.report(),
    };
  },
  isValid: (outputs) => outputs.every((x) => x < Number.POSITIVE_INFINITY) && outputs.some(Number.isFinite),
  predictions: (outputs, { classNames }) => classPredictions(outputs, classNames),
  scores(outputs, data) {
    const labels = labelsOf(data);
    return Uint8Array.from(argmax(outputs, 1).data, (predicted, i) => Number(predicted === labels[i]));
  },
  keep: (outputs) => predictedClasses(outputs),
  chance({ labels }, { classes }) {
    const counts = new Array<number>(classes).fill(0);
    for (const label of labels.data) if (label !== NO_LABEL) counts[label]++;
    return Math.max(...counts) / counts.reduce((sum, count) => sum + count, 0);
  },
  undefinedMetrics: () => [],
};
