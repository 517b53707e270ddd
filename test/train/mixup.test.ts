import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { fingerprint } from "../../src/checkpoint/fingerprint.js";
import { symmetricBeta } from "../../src/data/augment.js";
import {
  augment,
  type Batch,
  createNetwork,
  crossEntropy,
  type Dataset,
  type DistillationLoss,
  type DistillInput,
  distill,
  dkdLoss,
  functionTeacher,
  Generator,
  IntTensor,
  kdLoss,
  type LossBatch,
  logitStandardizedKdLoss,
  type Module,
  mutual,
  noGrad,
  Subset,
  synthetic,
  type Tensor,
  TensorDataset,
  tensor,
  trainTeacher,
  weightedSum,
  withGenerator,
} from "../../src/index.js";
import { computeMixedLoss } from "../../src/losses/mixed_labels.js";
import { native } from "../../src/native.js";
import { calibrated } from "../../src/train/calibrate_teacher.js";
import { failure, temporaryFolder } from "../support.js";

const folder = temporaryFolder();
const [SAMPLES, CONTEXT] = [24, { shape: [6], classes: 3 }];

function setting(network = "mlp(hidden=[8])"): { teacher: Module; student: Module; plain: Dataset; data: Dataset } {
  return withGenerator(new Generator(0), () => {
    const [teacher, student] = [createNetwork(network, CONTEXT), createNetwork(network, CONTEXT)];
    const plain = synthetic({ samples: SAMPLES, features: 6, classes: 3 });
    return { teacher: teacher.freeze(), student, plain, data: augment(plain, { mixup: 0.4 }) };
  });
}

/** The batches that a run of one epoch in the data's order takes, and its record. */
const ONE = { epochs: 1, batchSize: SAMPLES, shuffle: false } as const;
const batchOf = (data: Dataset, seed: number): Batch =>
  withGenerator(new Generator(seed), () => data.slice(0, SAMPLES));

test.each([
  [1, (x: number) => x],
  [0.5, (x: number) => (2 / Math.PI) * Math.asin(Math.sqrt(x))],
  [2, (x: number) => 3 * x ** 2 - 2 * x ** 3],
])("the weight is of Beta(%d, the same)", (alpha, distribution) => {
  const count = 4000;
  const drawn = withGenerator(new Generator(1), () => Array.from({ length: count }, () => symmetricBeta(alpha)));
  const sorted = drawn.sort((a, b) => a - b);
  const gap = Math.max(
    ...sorted.map((x, i) => Math.max(distribution(x) - i / count, (i + 1) / count - distribution(x))),
  );
  // Kolmogorov and Smirnov: larger by chance once in a hundred times.
  expect(gap).toBeLessThan(1.63 / Math.sqrt(count));
});

test("an extreme alpha gives one of two samples, or half of each", () => {
  const drawn = (alpha: number) =>
    withGenerator(new Generator(2), () => Array.from({ length: 200 }, () => symmetricBeta(alpha)));
  const least = drawn(1e-5);
  expect(least.every((w) => w < 1e-6 || w > 1 - 1e-6)).toBe(true);
  expect(least.filter((w) => w > 0.5).length).toBeGreaterThan(60);
  for (const alpha of [1e-307, 1e-320, Number.MIN_VALUE]) {
    const weights = drawn(alpha);
    expect(weights.every((w) => w === 0 || w === 1)).toBe(true);
    expect(weights.filter((w) => w === 1).length).toBeGreaterThan(60);
    expect(weights.filter((w) => w === 0).length).toBeGreaterThan(60);
  }
  expect(Math.max(...drawn(1e6).map((w) => Math.abs(w - 0.5)))).toBeLessThan(0.003);
});

test("each sample is mixed with another one of the batch, and its label with that one's", () => {
  const { plain, data } = setting();
  const [{ inputs, labels }, { inputs: x, labels: y, mixed, indices }] = [plain.slice(0, SAMPLES), batchOf(data, 3)];
  const weight = mixed?.weight as number;
  const second = mixed?.labels.data as Int32Array;
  expect(weight > 0 && weight < 1).toBe(true);
  expect([...y.data]).toEqual([...labels.data]);
  expect([...indices]).toEqual(Array.from({ length: SAMPLES }, (_, i) => i));
  // Which sample the other one is follows from the first value; all its values and its label then have to agree.
  const partners = Array.from({ length: SAMPLES }, (_, i) => {
    const other = (x.data[6 * i] - weight * inputs.data[6 * i]) / (1 - weight);
    const gaps = Array.from({ length: SAMPLES }, (_, j) => Math.abs(inputs.data[6 * j] - other));
    return gaps.indexOf(Math.min(...gaps));
  });
  expect(partners.toSorted((a, b) => a - b)).toEqual([...indices]);
  expect(partners.map((j) => labels.data[j])).toEqual([...second]);
  for (const [i, j] of partners.entries()) {
    for (let k = 0; k < 6; k++) {
      const expected = weight * inputs.data[6 * i + k] + (1 - weight) * inputs.data[6 * j + k];
      expect(x.data[6 * i + k]).toBeCloseTo(expected, 6);
    }
  }
  // A part of mixed data is mixed, too.
  expect(new Subset(data, indices).slice(0, 4).mixed).toBeDefined();
});

async function firstLoss(input: Omit<DistillInput, "teacher"> & { teacher: Module }, seed: number) {
  let metrics: Readonly<Record<string, number>> = {};
  await withGenerator(new Generator(seed), () =>
    distill({
      ...ONE,
      ...input,
      onStep: (step) => {
        metrics = step.metrics;
      },
    }),
  );
  return metrics;
}

test.each([
  ["cross-entropy", 0],
  ["cross-entropy(labelSmoothing=0.1)", 0.1],
])("%s is that of mixed labels", async (loss, labelSmoothing) => {
  const { teacher, student, data } = setting();
  const { inputs, labels, mixed } = batchOf(data, 5);
  const expected = noGrad(() => {
    const logits = student.forward(inputs);
    const [own, other] = [labels, mixed?.labels ?? labels].map((one) => crossEntropy(logits, one, { labelSmoothing }));
    const weight = mixed?.weight ?? 1;
    return weight * own.item() + (1 - weight) * other.item();
  });
  expect((await firstLoss({ teacher, student, data, loss }, 5)).loss).toBeCloseTo(expected, 6);
});

test("teacher and student see the same mixed samples; the labels count in their share", async () => {
  const { teacher, student, data } = setting();
  const { inputs, labels, mixed } = batchOf(data, 6);
  const expected = noGrad(() => {
    const [own, target] = [student.forward(inputs), teacher.forward(inputs)];
    const [first, second] = [labels, mixed?.labels ?? labels].map((one) =>
      kdLoss(own, target, one, { temperature: 2, alpha: 0.6 }).item(),
    );
    const weight = mixed?.weight ?? 1;
    return weight * first + (1 - weight) * second;
  });
  const loss = "kd(temperature=2, alpha=0.6)";
  expect((await firstLoss({ teacher, student, data, loss }, 6)).loss).toBeCloseTo(expected, 6);
  // Without labels: of a teacher that is the student nothing is left to learn.
  const same = setting();
  same.teacher.loadStateDict(same.student.stateDict());
  const unlabelled = new TensorDataset(same.plain.slice(0, SAMPLES).inputs, null, { classes: 3 });
  const alike = { ...same, data: augment(unlabelled, { mixup: 1, noise: 0.2 }), loss: "kd(temperature=1)" };
  const { plain: _, ...input } = alike;
  expect((await firstLoss(input, 7)).loss).toBeCloseTo(0, 6);
});

test.each(["kd(temperature=2)", "logit-standardized-kd(temperature=2)"])(
  "%s reads no labels: computed once",
  async (loss) => {
    const { teacher, student, data } = setting();
    const { inputs, labels } = batchOf(data, 6);
    const [own, target] = noGrad(() => [student.forward(inputs), teacher.forward(inputs)]);
    const expected = loss.startsWith("kd")
      ? kdLoss(own, target, labels, { temperature: 2, alpha: 1 })
      : logitStandardizedKdLoss(own, target, { temperature: 2 });
    const computed = vi.spyOn(native, "kdLoss");
    const metrics = await firstLoss({ teacher, student, data, loss }, 6);
    expect([metrics.loss, computed.mock.calls.length]).toEqual([expected.item(), 1]);
    computed.mockRestore();
  },
);

test("of a sum the terms that read no labels are computed once, the others with both", async () => {
  const { teacher, student, data } = setting();
  const { inputs, labels, mixed } = batchOf(data, 6);
  const [own, target] = noGrad(() => [student.forward(inputs), teacher.forward(inputs)]);
  const weight = mixed?.weight ?? 1;
  const both = (of: (labels: Batch["labels"]) => Tensor) =>
    weight * of(labels).item() + (1 - weight) * of(mixed?.labels ?? labels).item();
  const [hard, decoupled] = [both((one) => crossEntropy(own, one)), both((one) => dkdLoss(own, target, one))];
  const soft = kdLoss(own, target, labels, { temperature: 2, alpha: 1 }).item();
  const computed = vi.spyOn(native, "kdLoss");
  const loss = "0.5*cross-entropy + 2*kd(temperature=2) + dkd(warmup=2)";
  const metrics = await firstLoss({ teacher, student, data, loss }, 6);
  expect(computed).toHaveBeenCalledTimes(1);
  computed.mockRestore();
  expect(metrics.kd).toBe(soft);
  expect(metrics["cross-entropy"]).toBeCloseTo(hard, 6);
  expect(metrics.dkd).toBeCloseTo(decoupled, 5);
  expect(metrics.loss).toBeCloseTo(0.5 * hard + 2 * soft + 0.5 * decoupled, 5);
});

test("a function of one's own gets both labels, one after the other", async () => {
  const { teacher, student, data } = setting();
  const seen: number[][] = [];
  const loss = ({ student: { logits }, labels, isMixed }: LossBatch) => {
    seen.push([Number(isMixed), ...(labels as Batch["labels"]).data]);
    return crossEntropy(logits, labels as Batch["labels"]);
  };
  await firstLoss({ teacher, student, data, loss }, 8);
  const { labels, mixed } = batchOf(data, 8);
  expect(seen).toEqual([
    [1, ...labels.data],
    [1, ...(mixed?.labels.data ?? [])],
  ]);
});

test("an interrupted run has the bits of a whole one", async () => {
  const run = async (out: string, stopAt: number | null) => {
    const { plain: _, ...own } = setting("mlp(hidden=[8], dropout=0.3)");
    const stop = new AbortController();
    const input = { ...own, epochs: 3, batchSize: 8, out: join(folder, out), resume: true, report: false } as const;
    await withGenerator(new Generator(9), () =>
      distill({
        ...input,
        loss: "0.5*cross-entropy + dkd",
        signal: stop.signal,
        onStep: ({ step }) => void (step === stopAt && stop.abort()),
      }),
    ).catch((error: { code: string }) => expect(error.code).toBe("ABORTED"));
    return fingerprint(own.student.stateDict());
  };
  const whole = await run("whole", null);
  expect(await run("parts", 4)).not.toBe(whole);
  expect(await run("parts", null)).toBe(whole);
});

test("the other ways to train take mixed samples", async () => {
  const { student, teacher, data } = setting();
  await trainTeacher({ ...ONE, model: student, data });
  await mutual({ ...ONE, students: [student, createNetwork("mlp(hidden=[4])", CONTEXT)], data });
  expect(teacher.parameterCount()).toBe(student.parameterCount());
});

test("what does not go together is refused with the reason", async () => {
  const { teacher, student, data, plain } = setting();
  const fixed = functionTeacher(({ indices }) => new Float32Array(3 * indices.length));
  const refused = async (input: Partial<DistillInput>) =>
    (await failure(distill({ ...ONE, teacher, student, data, ...input }), "BAD_ARGUMENT")).message;
  expect(await refused({ teacher: fixed })).toMatch(/augmented at random, and its logits are those of the samples/);
  expect(await refused({ teacherCache: true })).toBe("teacherCache: the data are augmented at random");
  expect(await refused({ loss: "crd(negatives=4)" })).toBe(
    "loss: crd: recognises samples by their index, and a mixed one is none of them: leave mixup out",
  );
  expect(() => augment(plain, { mixup: -1 })).toThrow("mixup: expected a number from 0 to 1000000, got -1");
  expect(() => augment(plain, { mixup: 1e300 })).toThrow("mixup: expected a number from 0 to 1000000, got 1e+300");
});

test("of a calibrated loss, as of any, what reads no labels is computed once", () => {
  let calls = 0;
  const counted = (factorOf: (batch: LossBatch) => number): DistillationLoss => ({
    name: "counted",
    needsTeacher: true,
    compute(batch) {
      calls += 1;
      return { loss: batch.teacher.logits.sum().mul(factorOf(batch)), metrics: {} };
    },
    config: () => null,
  });
  const [unread, reading] = [counted(() => 1), counted(({ labels }) => 1 + (labels as IntTensor).data[0])];
  const outputs = { logits: tensor([[2, 4]]), taps: {} };
  const labels = new IntTensor(Int32Array.of(0));
  const batch = {
    student: outputs,
    teacher: outputs,
    labels,
    indices: Int32Array.of(0),
    epoch: 1,
    epochs: 1,
    step: 0,
    steps: 1,
  };
  const mixture = { labels: new IntTensor(Int32Array.of(1)), weight: 0.5 };
  for (const [loss, times, value] of [
    [unread, 1, 3],
    [reading, 2, 0.5 * 3 + 0.5 * 6],
    [
      weightedSum([
        [1, unread],
        [2, reading],
      ]),
      3,
      3 + 2 * 4.5,
    ],
  ] as const) {
    calls = 0;
    expect(computeMixedLoss(calibrated(loss, 2), batch, mixture).loss.item()).toBe(value);
    expect(calls).toBe(times);
  }
});
