import {
  type CompareInput,
  type CompareResult,
  type Dataset,
  Generator,
  randn,
  StudentNet,
  type SweepInput,
  type SweepResult,
  TeacherNet,
  TensorDataset,
  withGenerator,
} from "../../src/index.js";

export const SIZES = { inFeatures: 4, classes: 3 } as const;

/** Three clouds of points that overlap: learnable, but not to the last point. */
export function blobs(samples: number, seed: number): TensorDataset {
  const inputs = withGenerator(new Generator(seed), () => randn([samples, SIZES.inFeatures]));
  const labels = Int32Array.from({ length: samples }, (_, i) => i % SIZES.classes);
  for (const [i, label] of labels.entries()) {
    const at = i * SIZES.inFeatures + label;
    inputs.data[at] += 2;
  }
  return new TensorDataset(inputs, labels, { classes: SIZES.classes, name: "blobs" });
}

/** A small problem and small budget. */
export const PROBLEM = {
  teacher: () => new TeacherNet({ ...SIZES, hidden: [24, 16, 12] }),
  student: () => new StudentNet({ ...SIZES, hidden: [8, 6] }),
  data: blobs(300, 1),
  test: blobs(150, 2),
};
const BUDGET = { epochs: 3, batchSize: 32, lr: 0.01 };
/** Of the teacher and of each student: 270 samples are left to train on. */
export const STEPS = 3 * Math.ceil(270 / 32);

export const compareInput = (out: string, more: Partial<CompareInput> = {}): CompareInput => ({
  ...PROBLEM,
  ...BUDGET,
  seeds: 2,
  out,
  ...more,
});

export const sweepInput = (out: string, more: Partial<SweepInput> = {}): SweepInput => ({
  ...PROBLEM,
  ...BUDGET,
  temperatures: [1, 4],
  alphas: [0.2, 0.8],
  out,
  ...more,
});

/** A result without times, and with its files' names below `out`: what two calls have in common. */
export function timeless<R extends CompareResult | SweepResult>(result: R, out: string): R {
  const times = new Set(["seconds", "samplesPerSecond", "latencyMs", "throughput"]);
  const text = JSON.stringify(result, (key, value) => (times.has(key) ? undefined : value));
  return JSON.parse(text.replaceAll(out, "OUT"));
}

/** A data set that counts how often its samples are read. */
export function watched(data: Dataset, onRead: () => void): Dataset {
  const { name, length, features, classes } = data;
  const counted = <T>(result: T): T => {
    onRead();
    return result;
  };
  return {
    name,
    length,
    features,
    classes,
    batch: (indices) => counted(data.batch(indices)),
    slice: (start, end) => counted(data.slice(start, end)),
    fingerprint: () => data.fingerprint(),
  };
}
