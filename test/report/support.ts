import { join } from "node:path";
import { classDifferences, flipsOf } from "../../src/compare/behaviour.js";
import {
  type CompareResult,
  compare,
  crossedDifference,
  pairedDifference,
  type SweepPoint,
  type SweepResult,
  sampleStats,
  sweep,
} from "../../src/compare/index.js";
import { methodsOf, nameMethods } from "../../src/compare/methods.js";
import {
  type BestWeights,
  type Dataset,
  distill,
  type EpochRecord,
  type Evaluation,
  evaluate,
  Generator,
  ImageDataset,
  Mlp,
  type Module,
  randn,
  type StepPoint,
  StudentNet,
  TeacherNet,
  TensorDataset,
  tensor,
  withGenerator,
} from "../../src/index.js";
import { drawingFrom } from "../helpers/drawing_from.js";

export const IMAGE = { channels: 3, height: 4, width: 5 } as const;
export const FEATURES = 60;
export const CLASSES = 8;

/** Images with random pixels: nobody classifies them well. */
export function images(samples: number, classNames?: readonly string[], seed = 1): ImageDataset {
  const words = new Generator(seed);
  return withGenerator(words, () => {
    const bytes = Uint8Array.from({ length: samples * FEATURES }, (_, i) => (i * 97 + (i % 13) * seed * 31) % 256);
    const labels = Int32Array.from({ length: samples }, (_, i) => (i * 5 + (i % 7)) % CLASSES);
    return new ImageDataset(bytes, labels, {
      name: "noise",
      image: IMAGE,
      classes: CLASSES,
      mean: [0.5, 0.4, 0.3],
      std: [0.25, 0.5, 0.125],
      ...(classNames && { classNames }),
    });
  });
}

/** A short distillation on {@link images}, with all that a report takes. */
export interface Trained {
  teacher: Module;
  student: Module;
  test: Dataset;
  history: EpochRecord[];
  steps: StepPoint[];
  best: BestWeights | null;
}

export async function trained(seed = 0, classNames?: readonly string[]): Promise<Trained> {
  return drawingFrom(new Generator(seed), async () => {
    const sizes = { inFeatures: FEATURES, classes: CLASSES };
    const teacher = new TeacherNet({ ...sizes, hidden: [16, 12, 8] }).freeze();
    const student = new StudentNet({ ...sizes, hidden: [10, 8] });
    const options = { epochs: 3, batchSize: 16, lr: 0.02, temperature: 2.5 };
    const [data, validation] = [images(64), images(40, undefined, 2)];
    const { history, steps, best } = await distill({ teacher, student, data, validation, ...options });
    return { teacher, student, test: images(96, classNames, 3), history, steps, best };
  });
}

const SIZES = {
  teacher: { parameters: 4_242_954, bytes: 16_984_000, latencyMs: 0.73, throughput: 41_000 },
  student: { parameters: 535_818, bytes: 2_144_000, latencyMs: 0.08, throughput: 310_000 },
};
const DATA = { name: "noise", training: 64, validation: 40, test: 96, features: FEATURES, classes: CLASSES };

/**
 * A comparison with these test accuracies by seed; all else is of one short run. Four ways to distil are two losses,
 * each with both teachers.
 */
export function compareResult(
  { teacher, student, test, history }: Trained,
  baseline: number[],
  distilled: number[],
  ...more: number[][]
): CompareResult {
  const evaluation = evaluate(student, test, { teacher });
  const students = (accuracies: number[]) => {
    const right = (share: number) => Uint8Array.from({ length: 10_000 }, (_, i) => Number(i < Math.round(1e4 * share)));
    return {
      figures: metricsOf(accuracies),
      scores: { best: accuracies.map(right), last: accuracies.map((x) => right(x - 0.01)) },
      fidelity: null,
    };
  };
  const metricsOf = (accuracies: number[]) => {
    const same = sampleStats(accuracies.map(() => 0.5));
    return {
      best: {
        accuracy: sampleStats(accuracies),
        agreement: same,
        calibrationError: same,
        epoch: sampleStats(accuracies.map((_, i) => i + 1)),
      },
      last: { accuracy: sampleStats(accuracies.map((x) => x - 0.01)), agreement: same, calibrationError: same },
      histories: accuracies.map((_, i) =>
        history.map((record) => ({ ...record, metrics: { ...record.metrics, loss: record.metrics.loss + i } })),
      ),
      evaluations: accuracies.map((): Evaluation => evaluation),
      files: accuracies.map((_, i) => `out/seed-${i}/distilled/student_best.safetensors`),
    };
  };
  const [ofBaseline, ofDistilled] = [students(baseline), students(distilled)];
  const all = [ofDistilled, ...more.map(students)];
  const difference = (weights: "best" | "last") =>
    crossedDifference(ofDistilled.scores[weights], ofBaseline.scores[weights]);
  const [now, before] = [ofDistilled.scores.best, ofBaseline.scores.best];
  const labels = Int32Array.from({ length: 10_000 }, (_, i) => i % CLASSES);
  const one = { agreement: sampleStats([0.9, 0.8]), divergence: sampleStats([0.125, 0.25]) };
  const fidelity = { test: one, training: one };
  const isBoth = all.length === 4;
  const losses = ["kd", "dkd", "dist"].slice(0, isBoth ? 2 : all.length);
  const choice = { calibrateTeacher: isBoth ? ("both" as const) : false, readsLogits: () => true };
  return {
    kind: "compare",
    data: DATA,
    seeds: baseline.map((_, i) => i),
    sizes: SIZES,
    teacher: { file: "teacher.pth", history: [], evaluation: evaluate(teacher, test) },
    baseline: ofBaseline.figures,
    distilled: ofDistilled.figures,
    changes: {
      fidelity: { baseline: fidelity, distilled: fidelity },
      flips: { baseline: flipsOf(now, before), teacher: null },
      perClass: classDifferences(now, before, labels, CLASSES),
      calibration: {
        teacher: {
          error: sampleStats([0.0625]),
          temperature: sampleStats([1.5]),
          scaledError: sampleStats([0.015625]),
        },
        baseline: {
          error: sampleStats([0.1, 0.11]),
          temperature: sampleStats([1.25, 1.75]),
          scaledError: sampleStats([0.02, 0.03]),
        },
        distilled: { error: sampleStats([0.05]), temperature: null, scaledError: null },
      },
    },
    fractions: [0.1, 1].map((fraction) => ({
      fraction,
      samples: 64 * fraction,
      baseline: ofBaseline.figures.last,
      distilled: ofDistilled.figures.best,
      difference: difference("best"),
    })),
    methods: methodsOf(nameMethods(losses, choice), all, ofBaseline),
    difference: {
      best: difference("best"),
      last: difference("last"),
      validation: pairedDifference(distilled, baseline),
    },
    config: { command: "compare", temperature: 2.5, dataHash: "ab".repeat(32) },
  };
}

/** A sweep with these validation accuracies, temperatures 1 and 4, alphas 0.1, 0.5 and 0.9. */
export function sweepResult({ teacher, student, test, history }: Trained, accuracies: number[]): SweepResult {
  const [temperatures, alphas] = [
    [1, 4],
    [0.1, 0.5, 0.9],
  ];
  const points = temperatures.flatMap((temperature, i) =>
    alphas.map((alpha, j): SweepPoint => {
      const validationAccuracy = accuracies[i * alphas.length + j];
      return { temperature, alpha, validationAccuracy, agreement: 0.5, bestEpoch: 2, history, file: "" };
    }),
  );
  const best = points.reduce((a, b) => (b.validationAccuracy > a.validationAccuracy ? b : a));
  return {
    kind: "sweep",
    data: DATA,
    seeds: [7],
    temperatures,
    alphas,
    points,
    best: { ...best, evaluation: evaluate(student, test, { teacher }) },
    teacher: { file: "teacher.pth", evaluation: evaluate(teacher, test) },
    sizes: SIZES,
    config: { command: "sweep" },
  };
}

/** A comparison of two losses and a sweep, whose loss reads an alpha alone, on a regression, in a folder. */
export async function regressionResults(folder: string): Promise<{ compare: CompareResult; sweep: SweepResult }> {
  const [data, test] = withGenerator(new Generator(3), () =>
    [48, 24].map((samples) => {
      const inputs = randn([samples, 3]);
      const targets = (inputs.toArray() as number[][]).map(([a, b, c]) => [a - b, 0.5 * c]);
      return new TensorDataset(inputs, tensor(targets), { task: "regression", name: "linear" });
    }),
  );
  const make = (hidden: number) => () => new Mlp({ inFeatures: 3, hidden: [hidden], classes: 2 });
  const common = { teacher: make(8), student: make(4), data, test, epochs: 2, batchSize: 16, lr: 0.02, seeds: 2 };
  const losses = ["mse + logit-mse", "huber + logit-mse"];
  return {
    compare: await compare({ ...common, losses, fractions: [0.5], out: join(folder, "compare") }),
    sweep: await sweep({ ...common, alphas: [0.2, 0.8], out: join(folder, "sweep") }),
  };
}

/** softmax(logits / temperature), written out once more. */
export function softmaxOf(logits: readonly number[], temperature: number): number[] {
  const powers = logits.map((logit) => Math.E ** (logit / temperature));
  return powers.map((power) => power / powers.reduce((a, b) => a + b));
}
