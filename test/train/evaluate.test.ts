import { describe, expect, test } from "vitest";
import {
  Dropout,
  evaluate,
  Linear,
  Module,
  measureLatency,
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
    const classes = x.shape[1] as number;
    const out = tensor(new Float32Array(x.size), { shape: x.shape });
    for (let i = 0; i < x.size; i++) {
      const column = (i + this.shift) % classes;
      out.data[Math.floor(i / classes) * classes + column] = x.data[i] as number;
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
    expect(evaluate(new Shown(0), data, { batchSize })).toEqual({
      accuracy: 3 / 6,
      correct: 3,
      examples: 6,
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
  ["BAD_ARGUMENT", "data: expected a data set, got 3", () => evaluate(new Linear(6, 3), 3 as never)],
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
])("%s: %s", async (code, message, body) => {
  expect(await refusal(code, body)).toBe(message);
});

test("latency is a time", () => {
  const { student, data } = setting();
  const latency = measureLatency(student, data);
  expect(latency).toBeGreaterThan(0);
  expect(latency).toBeLessThan(1000);
});
