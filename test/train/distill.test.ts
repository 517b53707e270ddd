import { afterEach, describe, expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import {
  distill,
  type EpochRecord,
  Generator,
  getNumThreads,
  kdLoss,
  Linear,
  Module,
  manualSeed,
  Parameter,
  randn,
  type StepRecord,
  setNumThreads,
  type Tensor,
  TensorDataset,
  type TrainingOptions,
  withGenerator,
} from "../../src/index.js";
import {
  BATCH,
  distillationLoss,
  ending,
  mean,
  type Options,
  SAMPLES,
  STEPS,
  setting,
  start,
  trainByHand,
} from "./support.js";

const threads = getNumThreads();
afterEach(() => setNumThreads(threads));

describe("distill is the loop that one would write by hand, to the bit", () => {
  test.each<[string, Options]>([
    ["as it comes", {}],
    ["in order", { shuffle: false }],
    ["teacher in train mode", { teacherMode: "train" }],
    ["teacher in train mode, in order", { teacherMode: "train", shuffle: false }],
    ["a forward pass of the teacher at each step", { teacherCache: false }],
    ["without the short batch", { dropLast: true }],
    ["soft targets alone", { alpha: 1, temperature: 1 }],
    ["hard targets alone", { alpha: 0 }],
    ["other numbers", { lr: 3e-4, weightDecay: 0.1, maxGradNorm: 0.05, batchSize: 7, epochs: 2 }],
    ["another cycle", { pctStart: 0.5, divFactor: 3, finalDivFactor: 7 }],
    ["one step an epoch", { batchSize: 64 }],
  ])("%s", async (_, options) => {
    const { teacherMode = "eval", teacherCache: _cache, temperature = 3.5, alpha = 0.6, ...numbers } = options;
    const generator = new Generator(7);
    const own = withGenerator(generator, () => setting());
    const untouched = fingerprint(own.teacher.stateDict());
    own.teacher.train(teacherMode === "train");
    const lossOf = distillationLoss(own, { temperature, alpha });
    const loop = { ...(numbers as TrainingOptions), model: own.student, data: own.data, lossOf };
    const losses = withGenerator(generator, () => trainByHand(loop));
    const steps: number[] = [];
    const end = await start({ ...options, onStep: ({ metrics }) => steps.push(metrics.loss) }, 7).end;
    expect(steps).toEqual(losses.flat());
    expect(end.history.map(({ loss }) => loss)).toEqual(losses.map(mean));
    expect({ ...end, history: [] }).toEqual(ending(own.teacher, own.student, generator, []));
    // Running statistics move in train mode.
    expect(end.teacher === untouched).toBe(teacherMode === "eval");
  });

  test("a user's network", async () => {
    class Net extends Module {
      readonly weight: Parameter;
      constructor() {
        super();
        this.weight = new Parameter(randn([6, 3]).mul(0.1).data, [6, 3]);
      }
      override forward(x: Tensor): Tensor {
        return x.matmul(this.weight);
      }
    }
    const generator = new Generator(2);
    const draw = () => ({ ...setting(), student: new Net() });
    const own = withGenerator(generator, draw);
    own.teacher.eval();
    const loop = { model: own.student, data: own.data, epochs: 2, lossOf: distillationLoss(own) };
    const losses = withGenerator(generator, () => trainByHand(loop));
    const other = new Generator(2);
    const { history } = await withGenerator(other, () => distill({ ...draw(), epochs: 2, batchSize: BATCH, lr: 0.01 }));
    expect(history.map(({ metrics }) => metrics.loss)).toEqual(losses.map(mean));
  });
});

test.each<Options>([{}, { teacherMode: "train" }])("the same bits with 1, 2 and 3 threads: %o", async (options) => {
  const endings = [];
  for (const number of [1, 2, 3]) {
    setNumThreads(number);
    endings.push(await start(options).end);
  }
  expect(endings[1]).toEqual(endings[0]);
  expect(endings[2]).toEqual(endings[0]);
});

test("another seed gives another run", async () => {
  const [one, two] = [await start({}, 0).end, await start({}, 1).end];
  expect(two.history.map(({ loss }) => loss)).not.toEqual(one.history.map(({ loss }) => loss));
});

test("the current stream is drawn from, and moves", async () => {
  const alone = await start({}, 5).end;
  const generator = manualSeed(5);
  const own = setting();
  const { history } = await distill({ ...own, epochs: 3, batchSize: BATCH, lr: 0.01 });
  expect(ending(own.teacher, own.student, generator, history)).toEqual(alone);
});

describe("what a run tells", () => {
  test("callbacks come in order, with what happened", async () => {
    const reported: (StepRecord | EpochRecord | string)[] = [];
    const { done } = start({
      epochs: 2,
      onStep: (record) => reported.push(record),
      onEpoch: (record) => void reported.push(record),
      onNote: (text) => reported.push(text),
    });
    const { history, files } = await done;
    expect(files).toEqual([]);
    const notes = reported.filter((entry) => typeof entry === "string");
    expect(notes).toEqual(["teacher: 50 x 3 logits computed once, 0.6 kB"]);
    const [steps, epochs] = [reported.filter(isStep), reported.filter(isEpoch)];
    expect(reported.filter((entry) => typeof entry !== "string")).toEqual([
      ...steps.slice(0, STEPS),
      epochs[0],
      ...steps.slice(STEPS),
      epochs[1],
    ]);
    expect(epochs).toEqual(history);
    const places = Array.from({ length: 2 * STEPS }, (_, i) => [1 + Math.floor(i / STEPS), i + 1, 2 * STEPS]);
    expect(steps.map(({ epoch, step, steps }) => [epoch, step, steps])).toEqual(places);
    expect(steps.every(({ gradNorm }) => gradNorm > 0 && Number.isFinite(gradNorm))).toBe(true);
  });

  test("an epoch's record", async () => {
    const steps: StepRecord[] = [];
    const { history } = await start({ onStep: (record) => steps.push(record) }).done;
    expect(history.map(({ epoch, epochs }) => [epoch, epochs])).toEqual([1, 2, 3].map((epoch) => [epoch, 3]));
    for (const record of history) {
      const losses = steps.filter(({ epoch }) => epoch === record.epoch).map(({ metrics }) => metrics.loss);
      const { loss, soft, hard } = record.metrics;
      expect(loss).toBe(mean(losses));
      expect(0.6 * soft + 0.4 * hard).toBeCloseTo(loss, 5);
      expect(record.seconds).toBeGreaterThan(0);
      expect(record.samplesPerSecond).toBeCloseTo(SAMPLES / record.seconds, 6);
    }
    // The cycle ends at lr / divFactor / finalDivFactor, one step before its last.
    expect(history.at(-1)?.lr).toBeLessThan(history[0]?.lr);
  });

  test("a run waits for onEpoch", async () => {
    const events: string[] = [];
    await start({
      epochs: 2,
      onStep: ({ step }) => events.push(`step ${step}`),
      onEpoch: async ({ epoch }) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        events.push(`epoch ${epoch}`);
      },
    }).done;
    const expected = [1, 2, 3, 4, "epoch 1", 5, 6, 7, 8, "epoch 2"];
    expect(events).toEqual(expected.map((entry) => (typeof entry === "number" ? `step ${entry}` : entry)));
  });

  test("what a callback throws ends the run", async () => {
    const { done, setting } = start({ onEpoch: () => Promise.reject(new Error("enough")) });
    await expect(done).rejects.toThrow("enough");
    expect([setting.teacher.training, setting.student.training]).toEqual([true, true]);
  });
});

test.each(["train", "eval"] as const)(
  "modes are those of a step, then the caller's again: teacher in %s mode",
  async (mode) => {
    const seen = new Set<string>();
    class Watched extends Module {
      readonly inner = new Linear(6, 3);
      constructor(readonly role: string) {
        super();
      }
      override forward(x: Tensor): Tensor {
        seen.add(`${this.role}: ${this.training}, ${this.inner.training}`);
        return this.inner.forward(x);
      }
    }
    const [teacher, student] = [new Watched("teacher").eval(), new Watched("student").eval()];
    teacher.training = true;
    const modes = () => [teacher, student].map((network) => [network.training, network.inner.training]);
    const before = modes();
    const between: unknown[] = [];
    const watch = () => void between.push(modes());
    const options = { epochs: 2, teacherMode: mode, teacherCache: false, onStep: watch, onEpoch: watch };
    await distill({ teacher, student, data: setting().data, ...options });
    const trains = mode === "train";
    // Both were tried on a sample before, in eval mode.
    const asked = ["student: false, false", "student: true, true", "teacher: false, false"];
    expect(seen).toEqual(new Set([...asked, `teacher: ${trains}, ${trains}`]));
    expect(between).toEqual(between.map(() => before));
    expect(modes()).toEqual(before);
  },
);

test("more classes than the labels show", async () => {
  const { student, teacher } = setting();
  const [x, labels] = [randn([8, 6]), Int32Array.of(0, 1, 0, 1, 0, 1, 0, 1)];
  const loss = kdLoss(student.forward(x), teacher.eval().forward(x), labels).item();
  const data = new TensorDataset(x, labels);
  const { history } = await distill({ student, teacher, data, epochs: 1, batchSize: 8, shuffle: false });
  expect(history.map(({ metrics }) => metrics.loss)).toEqual([loss]);
});

function isStep(entry: unknown): entry is StepRecord {
  return typeof entry === "object" && entry !== null && "gradNorm" in entry;
}

function isEpoch(entry: unknown): entry is EpochRecord {
  return typeof entry === "object" && entry !== null && "seconds" in entry;
}
