import { expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import {
  augment,
  type DistillationLoss,
  type DistillInput,
  Generator,
  ImageDataset,
  Linear,
  SGD,
  StudentNet,
  splitDataset,
  synthetic,
  TeacherNet,
  TensorDataset,
  tensor,
  withGenerator,
  zeros,
} from "../../src/index.js";
import { estimateRun } from "../../src/train/index.js";
import { refusal } from "../data/support.js";
import { failure } from "../support.js";
import { BATCH, SAMPLES, SIZES, STEPS, setting } from "./support.js";

const PARAMETERS = {
  teacher: 6 * 12 + 12 * 3 + 12 * 10 + 10 * 3 + 10 * 8 + 8 * 3 + 8 * 3 + 3,
  student: 6 * 8 + 8 + 8 * 5 + 5 + 5 * 3 + 3,
};
const options = { epochs: 7, batchSize: BATCH };

test("a distillation's steps and memory; networks and random stream stay as they are", async () => {
  const generator = new Generator(0);
  const own = withGenerator(generator, setting);
  const before = [own.teacher, own.student].map((network) => fingerprint(network.stateDict()));
  const random = [...generator.state];
  const { steps, stepSeconds, seconds, memory } = await withGenerator(generator, () =>
    estimateRun({ ...own, ...options, teacherMode: "train" }),
  );
  expect(steps).toBe(7 * STEPS);
  expect(stepSeconds).toBeGreaterThan(0);
  expect(seconds).toBeCloseTo(steps * stepSeconds, 9);
  expect(memory).toMatchObject({
    weights: 4 * (PARAMETERS.teacher + PARAMETERS.student),
    gradients: 4 * PARAMETERS.student,
    optimizer: 8 * PARAMETERS.student,
    data: 4 * SAMPLES * (SIZES.inFeatures + 1),
    teacherLogits: 0,
    copies: 2 * 12 * PARAMETERS.student,
  });
  // The batch and what the student makes of it, at least.
  expect(memory.activations).toBeGreaterThan(4 * BATCH * (6 + 8 + 5 + 3));
  expect([own.teacher, own.student].map((network) => fingerprint(network.stateDict()))).toEqual(before);
  expect([...generator.state]).toEqual(random);
  expect(own.student.parameters().every(({ grad }) => grad === null)).toBe(true);
});

test("cached teacher logits, and a validation pass after each epoch", async () => {
  const own = withGenerator(new Generator(0), () => setting(500));
  const { train, heldOut } = splitDataset(own.data, { fraction: 0.2 });
  const { steps, stepSeconds, seconds, memory } = await estimateRun({
    ...own,
    ...options,
    data: train,
    validation: heldOut,
  });
  expect(steps).toBe(7 * 25);
  expect(seconds).toBeGreaterThan(steps * stepSeconds);
  expect(memory).toMatchObject({
    teacherLogits: 4 * 400 * 3,
    copies: 2 * 20 * PARAMETERS.student,
    data: 4 * 500 * (SIZES.inFeatures + 1),
  });
});

test("logits for augmented data are not cached", async () => {
  const own = withGenerator(new Generator(0), setting);
  const { memory } = await estimateRun({ ...own, ...options, data: augment(own.data, { noise: 0.1 }) });
  expect(memory).toMatchObject({ teacherLogits: 0, data: 4 * SAMPLES * (SIZES.inFeatures + 1) });
});

test("the state of another optimizer and the averaged weights", async () => {
  const own = withGenerator(new Generator(0), setting);
  const floats = 4 * PARAMETERS.student;
  const { memory } = await estimateRun({
    ...own,
    ...options,
    optimizer: "sgd(momentum=0.9)",
    schedule: "cosine",
    ema: 0.9,
  });
  expect(memory).toMatchObject({ optimizer: floats, copies: floats + 2 * 3 * floats });
  const plain = await estimateRun({ ...own, ...options, optimizer: (params) => new SGD(params, { lr: 0.1 }) });
  expect(plain.memory).toMatchObject({ optimizer: 0, copies: 2 * floats });
});

test("losses that read hidden outputs or no teacher: no logits are cached; their modules stay as they are", async () => {
  const own = withGenerator(new Generator(0), setting);
  const regressor = withGenerator(new Generator(1), () => new Linear(2, 2));
  const before = fingerprint(regressor.stateDict());
  const hint: DistillationLoss = {
    name: "hint",
    needsTeacher: true,
    taps: { teacher: ["fc1"] },
    modules: { regressor },
    config: () => ({}),
    compute({ student, teacher }) {
      expect(teacher.taps.fc1.shape[1]).toBe(12);
      const hidden = regressor.forward(zeros([1, 2])).mean();
      return { loss: student.logits.mean().add(hidden), metrics: {} };
    },
  };
  for (const loss of [hint, "cross-entropy"]) {
    const { memory, seconds, steps, stepSeconds } = await estimateRun({ ...own, ...options, loss });
    const trained = 4 * PARAMETERS.student + (loss === hint ? 4 * 6 : 0);
    expect(memory).toMatchObject({
      weights: 4 * PARAMETERS.teacher + trained,
      gradients: trained,
      optimizer: 2 * trained,
      teacherLogits: 0,
      copies: 2 * 3 * trained,
    });
    expect(seconds).toBeCloseTo(steps * stepSeconds, 9);
  }
  expect(fingerprint(regressor.stateDict())).toBe(before);
});

test("refuses what the run would refuse", async () => {
  const own = withGenerator(new Generator(0), setting);
  const refused = (more: Partial<DistillInput>) =>
    failure(estimateRun({ ...own, ...options, ...more }), "BAD_ARGUMENT");
  expect((await refused({ teacherCache: true, loss: "cross-entropy" })).message).toBe(
    "teacherCache: the loss cross-entropy needs no teacher",
  );
  expect((await refused({ calibrateTeacher: true })).message).toMatch(/^calibrateTeacher: needs a validation set/);
});

test("batches whose gradients are accumulated make one step", async () => {
  const own = withGenerator(new Generator(0), setting);
  const { steps } = await estimateRun({ ...own, ...options, accumulate: 3 });
  expect(steps).toBe(7 * Math.ceil(STEPS / 3));
});

test("the training of a teacher, on images in bytes", async () => {
  const data = new ImageDataset(new Uint8Array(40 * 6), new Int32Array(40), {
    features: 6,
    mean: 0,
    std: 1,
    classes: 3,
  });
  const model = new TeacherNet({ ...SIZES, hidden: [12, 10, 8] });
  const { steps, memory } = await estimateRun({ model, data, epochs: 2, batchSize: 15, dropLast: true });
  expect(steps).toBe(4);
  expect(memory).toMatchObject({
    weights: 4 * PARAMETERS.teacher,
    optimizer: 8 * PARAMETERS.teacher,
    data: 40 * (6 + 4),
  });
});

test("what a run refuses is refused", async () => {
  const student = new StudentNet({ ...SIZES, hidden: [8, 5] });
  const other = new TensorDataset(tensor([[1, 2]]), Int32Array.of(0), { classes: 3 });
  await refusal("SHAPE_MISMATCH", () => estimateRun({ model: student, data: other }));
  const data = synthetic({ samples: 8, features: 6, classes: 3 });
  expect(
    await refusal("BAD_ARGUMENT", () => estimateRun({ model: student, data, batchSize: 9, dropLast: true })),
  ).toContain("expected at most the 8 samples");
  expect(await refusal("BAD_ARGUMENT", () => estimateRun({ model: student, data, epochs: 0 }))).toContain("epochs:");
});

test("the memory of shards has the gradients of each and their sums", async () => {
  const own = setting();
  const of = async (more: object) =>
    (await estimateRun({ ...own, ...options, batchSize: 16, ...more })).memory.gradients;
  const plain = await of({});
  expect(await of({ shards: 8 })).toBe(5 * plain);
  expect(await of({ shards: 8, batchNorm: "batch" })).toBe(13 * plain);
});
