import { describe, expect, test } from "vitest";
import {
  crossEntropy,
  type Dataset,
  Dropout,
  evaluate,
  evaluateLogits,
  IntTensor,
  Linear,
  logitsOf,
  Module,
  measureLatency,
  measureThroughput,
  predict,
  Sequential,
  type Tensor,
  TensorDataset,
  tensor,
} from "../../src/index.js";
import { refusal } from "../data/support.js";
import { setting } from "./support.js";

/** Gives its inputs as logits, `shift` columns on; in train mode half of them are lost. */
class Shown extends Module {
  readonly dropout = new Dropout(0.5);
  constructor(readonly shift: number) {
    super();
  }
  override forward(x: Tensor): Tensor {
    const classes = x.shape[1];
    const out = tensor(new Float32Array(x.size), { shape: x.shape });
    for (let i = 0; i < x.size; i++) {
      const column = (i + this.shift) % classes;
      out.data[Math.floor(i / classes) * classes + column] = x.data[i];
    }
    return this.dropout.forward(out);
  }
}

/** One-hot rows of these classes. */
function shown(predicted: readonly number[], labels: readonly number[], classes: number): TensorDataset {
  const rows = predicted.map((label) => Array.from({ length: classes }, (_, i) => (i === label ? 1 : 0)));
  return new TensorDataset(tensor(rows), Int32Array.from(labels), { classes, name: "shown" });
}

describe("evaluate, by hand", () => {
  const labels = [0, 0, 0, 1, 1, 2];
  const predicted = [0, 0, 1, 1, 0, 1];
  const data = shown(predicted, labels, 4);

  test.each([1, 2, 4, 1000])("in batches of %i", (batchSize) => {
    // Each row of logits is one 1 among three 0: softmax gives it e / (e + 3), 0.475, which lies in the eighth of 15
    // bins.
    const [sum, confidence] = [Math.E + 3, Math.E / (Math.E + 3)];
    const bins = Array.from({ length: 15 }, () => ({ confidence: 0, accuracy: 0, count: 0 }));
    bins[7] = { confidence: expect.closeTo(confidence, 12), accuracy: 1 / 2, count: 6 };
    expect(evaluate(new Shown(0), data, { batchSize })).toEqual({
      accuracy: 3 / 6,
      correct: 3,
      samples: 6,
      loss: expect.closeTo(Math.log(sum) - 1 / 2, 12),
      calibration: { error: expect.closeTo(1 / 2 - confidence, 12), bins },
      confusion: [
        [2, 1, 0, 0],
        [1, 1, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 0, 0],
      ],
      perClass: [
        { precision: 2 / 3, recall: 2 / 3, f1: 2 / 3, support: 3 },
        { precision: 1 / 3, recall: 1 / 2, f1: (2 * (1 / 3) * (1 / 2)) / (1 / 3 + 1 / 2), support: 2 },
        { precision: 0, recall: 0, f1: 0, support: 1 },
        { precision: 0, recall: 0, f1: 0, support: 0 },
      ],
    });
  });

  test("with a teacher", () => {
    // It says one class more: 1, 1, 2, 2, 1, 2.
    const { teacherAccuracy, agreement, accuracy } = evaluate(new Shown(0), data, { teacher: new Shown(1) });
    expect([accuracy, teacherAccuracy, agreement]).toEqual([1 / 2, 2 / 6, 0]);
    const same = evaluate(new Shown(1), data, { teacher: new Shown(1) });
    expect([same.accuracy, same.teacherAccuracy, same.agreement]).toEqual([2 / 6, 2 / 6, 1]);
  });

  test("the loss is that of crossEntropy, the mean over all samples in double precision", () => {
    const { student, data } = setting();
    const { inputs, labels } = data.slice(0, data.length);
    student.eval();
    const expected = crossEntropy(student.forward(inputs), labels).item();
    for (const batchSize of [1, 16, 1000]) expect(evaluate(student, data, { batchSize }).loss).toBeCloseTo(expected, 6);
  });

  test("logits far apart: a loss as large as their distance, or none", () => {
    const far = new TensorDataset(
      tensor([
        [1e4, 0],
        [0, 1e4],
      ]),
      Int32Array.of(0, 0),
      { classes: 2 },
    );
    const { loss, calibration } = evaluate(new Shown(0), far);
    expect([loss, calibration.error]).toEqual([5000, 0.5]);
    expect(calibration.bins[14]).toEqual({ confidence: 1, accuracy: 0.5, count: 2 });
  });

  test.each([
    ["a NaN", [Number.NaN, 1, 0, 0]],
    ["a NaN behind the largest", [9, Number.NaN, 0, 0]],
    ["an infinity", [0, Number.POSITIVE_INFINITY, 0, 0]],
    ["no class", new Array<number>(4).fill(Number.NEGATIVE_INFINITY)],
  ])("logits that say nothing are refused, with the sample: %s", (_, wrong) => {
    const logits = tensor([[1, 2, 3, 4], wrong]);
    const text = "sample 1: the network's outputs are not finite, as after a training that diverged";
    const right = tensor([
      [1, 0, 0, 0],
      [0, 1, 0, 0],
    ]);
    for (const call of [
      () => evaluateLogits(logits, Int32Array.of(0, 1)),
      () => evaluateLogits(right, Int32Array.of(0, 1), logits),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: "NON_FINITE", message: text }));
    }
  });

  test.each(["classification", "regression", "multi-label", "vectors"] as const)(
    "so is a network whose weights are NaN: %s",
    (task) => {
      const broken = new Linear(4, 4);
      const targets = tensor([
        [1, 0, 0, 1],
        [0, 1, 1, 0],
      ]);
      const own = task === "classification" ? data : new TensorDataset(targets.add(0), targets, { task });
      expect(evaluate(broken, own).samples).toBe(own.length);
      broken.weight.data.fill(Number.NaN);
      for (const batchSize of [1, 100]) {
        expect(() => evaluate(broken, own, { batchSize })).toThrow("sample 0: the network's outputs are not finite");
      }
    },
  );

  test("a class of -Infinity is one that is never predicted", () => {
    const { accuracy, loss } = evaluateLogits(tensor([[0, Number.NEGATIVE_INFINITY]]), Int32Array.of(0));
    expect([accuracy, loss]).toEqual([1, 0]);
  });

  test.each<[string, (x: Tensor) => unknown, string]>([
    ["nothing", () => undefined, "undefined"],
    ["a promise", async (x) => x, "a promise: forward can't be async"],
  ])("a network that gives no tensor: %s", (_, forward, got) => {
    const wrong = Object.assign(new Linear(4, 4), { forward });
    const message = `model: forward: expected a Tensor, got ${got}`;
    for (const call of [evaluate, logitsOf, measureThroughput, measureLatency] as const) {
      expect(() => (call as typeof evaluate)(wrong as Module, data)).toThrow(message);
    }
    expect(() => predict(wrong as Module, data.inputs)).toThrow(message);
  });

  test("the first of equals counts, as with argmax", () => {
    const equal = new TensorDataset(
      tensor([
        [1, 1],
        [0, 0],
      ]),
      Int32Array.of(0, 1),
    );
    expect(evaluate(new Shown(0), equal).confusion).toEqual([
      [1, 0],
      [1, 0],
    ]);
  });
});

describe("modes are set back", () => {
  test.each([true, false])("training: %s", (training) => {
    const { teacher, student, data } = setting();
    teacher.train(!training);
    student.train(training);
    evaluate(student, data, { teacher });
    measureLatency(student, data);
    measureThroughput(student, data);
    logitsOf(student, data);
    expect([teacher.training, student.training]).toEqual([!training, training]);
  });

  test("after a failure", async () => {
    const { student, data } = setting();
    const wrong = new Sequential(new Linear(5, 3));
    expect(await refusal("SHAPE_MISMATCH", () => evaluate(wrong, data))).toContain("[*, 5], got [50, 6]");
    expect(wrong.training).toBe(true);
    await refusal("SHAPE_MISMATCH", () => evaluate(student, data, { teacher: wrong }));
    expect([student.training, wrong.training]).toEqual([true, true]);
  });

  test("a module inside that is in another mode", () => {
    const { teacher, data } = setting();
    const [, child] = teacher.namedChildren()[1] as [string, Module];
    child.eval();
    evaluate(teacher, data);
    expect([teacher.training, child.training]).toEqual([true, false]);
  });
});

test.each<[string, string, () => unknown]>([
  ["SHAPE_MISMATCH", "logits: expected shape [50, 3], got [50, 4]", () => evaluate(new Linear(6, 4), setting().data)],
  ["BAD_ARGUMENT", "model: expected a Module, got null", () => evaluate(null as never, setting().data)],
  ["BAD_ARGUMENT", "data: expected a Dataset, got 3", () => evaluate(new Linear(6, 3), 3 as never)],
  [
    "BAD_ARGUMENT",
    "teacher: expected a Module, got 1",
    () => evaluate(new Linear(6, 3), setting().data, { teacher: 1 as never }),
  ],
  [
    "BAD_ARGUMENT",
    "batchSize: expected a whole number of at least 1, got 0",
    () => evaluate(new Linear(6, 3), setting().data, { batchSize: 0 }),
  ],
  [
    "LABEL_OUT_OF_RANGE",
    'data set "synthetic": slice(2, 4): labels[0]: expected a class from 0 to 2, as its classes say, got 3',
    () => evaluate(new Linear(6, 3), mislabelled(), { batchSize: 2 }),
  ],
  ["SHAPE_MISMATCH", "logits: expected shape [50, 3], got [50, 4]", () => logitsOf(new Linear(6, 4), setting().data)],
  ["BAD_ARGUMENT", "model: expected a Module, got 3", () => logitsOf(3 as never, setting().data)],
  ["BAD_ARGUMENT", "data: expected a Dataset, got null", () => logitsOf(new Linear(6, 3), null as never)],
  [
    "BAD_ARGUMENT",
    "batchSize: expected a whole number of at least 1, got 0.5",
    () => logitsOf(new Linear(6, 3), setting().data, { batchSize: 0.5 }),
  ],
  ["BAD_ARGUMENT", "model: expected a Module, got null", () => measureLatency(null as never, setting().data)],
  ["BAD_ARGUMENT", "data: expected a Dataset, got null", () => measureThroughput(new Linear(6, 3), null as never)],
])("%s: %s", async (code, message, body) => {
  expect(await refusal(code, body)).toBe(message);
});

test("latency is a time, throughput a rate", () => {
  const { student, data } = setting();
  const latency = measureLatency(student, data);
  expect(latency).toBeGreaterThan(0);
  expect(latency).toBeLessThan(1000);
  // Of 50 samples, there being no more.
  const throughput = measureThroughput(student, data);
  expect(throughput).toBeGreaterThan(1000 / latency);
});

test.each([1, 16, 50, 1000])("logitsOf in batches of %i equals one forward pass in eval mode", (batchSize) => {
  const { student, data } = setting();
  const logits = logitsOf(student, data, { batchSize });
  expect([logits.shape, logits.requiresGrad, student.training]).toEqual([[50, 3], false, true]);
  const { inputs } = data.slice(0, 50);
  expect(logits.toArray()).toEqual(student.eval().forward(inputs).toArray());
});

/** A user's data set with a label that its classes do not have. */
function mislabelled(): Dataset {
  const { data } = setting();
  const labels = new IntTensor(Int32Array.from({ length: data.length }, (_, i) => (i === 2 ? 3 : 0)));
  const cut = (start: number, end: number) => ({ ...data.slice(start, end), labels: labels.slice(start, end) });
  const { name, length, features, classes } = data;
  return { name, length, features, classes, slice: cut, batch: (i) => data.batch(i), fingerprint: () => "" };
}
