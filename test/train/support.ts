import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import {
  AdamW,
  clipGradNorm,
  DataLoader,
  type Dataset,
  type DistillInput,
  distill,
  type EpochRecord,
  flattenRecord,
  Generator,
  type IntTensor,
  kdLoss,
  type Module,
  noGrad,
  OneCycleLR,
  type RunHandle,
  StudentNet,
  synthetic,
  TeacherNet,
  type Tensor,
  type TrainingOptions,
  withGenerator,
} from "../../src/index.js";

export const SIZES = { inFeatures: 6, classes: 3 } as const;
/** 50 samples in batches of 16: three whole ones and one of two. */
export const SAMPLES = 50;
export const BATCH = 16;
export const STEPS = 4;

/** Small networks and data, drawn from the current stream in the script's order. */
export function setting(samples = SAMPLES): { teacher: Module; student: Module; data: Dataset } {
  const teacher = new TeacherNet({ ...SIZES, hidden: [12, 10, 8] }).freeze();
  const student = new StudentNet({ ...SIZES, hidden: [8, 5] });
  return {
    teacher,
    student,
    data: synthetic({ samples, features: SIZES.inFeatures, classes: SIZES.classes }),
  };
}

export type Setting = ReturnType<typeof setting>;
export type Options = Partial<DistillInput> & { teacher?: Module };

/** What a run ends with: enough to tell whether two are the same, to the bit. */
export interface Ending {
  student: string;
  teacher: string;
  random: number[];
  history: Record<string, number>[];
}

/** A distillation of a fresh setting, with a stream of its own. */
export function start(options: Options = {}, seed = 0): { setting: Setting; done: RunHandle; end: Promise<Ending> } {
  const generator = new Generator(seed);
  return withGenerator(generator, () => {
    const own = setting();
    const done = distill({ ...own, epochs: 3, batchSize: BATCH, lr: 0.01, ...options });
    const { teacher, student } = { ...own, ...options };
    const end = done.then(({ history }) => ending(teacher, student, generator, history));
    // Whoever waits for either learns of a failure.
    end.catch(() => {});
    return { setting: own, done, end };
  });
}

export function ending(
  teacher: Module,
  student: Module,
  generator: Generator,
  history: readonly EpochRecord[],
): Ending {
  return {
    student: fingerprint(student.stateDict()),
    teacher: fingerprint(teacher.stateDict()),
    random: [...generator.state],
    history: history.map(timeless),
  };
}

/** A record as a row of `metrics.jsonl`, without what differs from run to run. */
export function timeless(record: EpochRecord | Record<string, number>): Ending["history"][number] {
  const { seconds: _, samplesPerSecond: __, ...rest } = isRecord(record) ? flattenRecord(record) : record;
  return rest;
}

const isRecord = (record: EpochRecord | Record<string, number>): record is EpochRecord =>
  typeof record.metrics === "object";

/** What a loop by hand needs; numbers that are left out are those of {@link start}. */
interface Loop extends TrainingOptions {
  model: Module;
  data: Dataset;
  lossOf(inputs: Tensor, labels: IntTensor): Tensor;
}

/** Trains by the public API alone, as a user would write it; gives each step's loss, by epoch. */
export function trainByHand({ model, data, lossOf, ...options }: Loop): number[][] {
  const { epochs = 3, batchSize = BATCH, shuffle = true, dropLast = false } = options;
  const { lr = 0.01, weightDecay = 1e-5, maxGradNorm = 1 } = options;
  const { pctStart = 0.3, divFactor = 20, finalDivFactor = 100 } = options;
  const loader = new DataLoader(data, { batchSize, shuffle, dropLast, order: "randperm" });
  const optimizer = new AdamW(model.parameters(), { lr, weightDecay });
  const cycle = { epochs, stepsPerEpoch: loader.length, pctStart, divFactor, finalDivFactor };
  const scheduler = new OneCycleLR(optimizer, { maxLr: lr, ...cycle });
  return Array.from({ length: epochs }, () =>
    Array.from(loader, ({ inputs, labels }) => {
      const loss = lossOf(inputs, labels);
      optimizer.zeroGrad();
      loss.backward();
      clipGradNorm(model.parameters(), maxGradNorm ?? Number.POSITIVE_INFINITY);
      optimizer.step();
      scheduler.step();
      return loss.item();
    }),
  );
}

/** The loss of a distillation, the teacher in the mode that it is in. */
export function distillationLoss(
  { teacher, student }: Setting,
  options: { temperature?: number; alpha?: number } = {},
): Loop["lossOf"] {
  return (inputs, labels) => {
    const teacherLogits = noGrad(() => teacher.forward(inputs));
    return kdLoss(student.forward(inputs), teacherLogits, labels, options);
  };
}

/** The mean as a run takes it: added up one by one. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
