import { describe, expect, it } from "vitest";
import {
  crossEntropy,
  Generator,
  type IntTensor,
  kdLoss,
  randint,
  randn,
  type Tensor,
  withGenerator,
} from "../../src/index.js";
import { expectClose } from "../parity/close.js";
import { slope } from "../tensor/finite_differences.js";
import * as reference from "./reference.js";

/**
 * The difference of two probabilities times `weight`. Rounding (6e-8) moves a logit by that part of its size, and so
 * the probability by that part of itself, beside what exp and the sum add.
 */
function within(weight: number, logits: readonly Tensor[], temperature = 1) {
  const largest = Math.max(...logits.flatMap(({ data }) => Array.from(data, Math.abs))) / Math.min(1, temperature);
  return { abs: weight * 2 * 6e-8 * (2 + largest) };
}

/** Random logits of both networks, and labels. */
function draw(rows: number, classes: number): { student: Tensor; teacher: Tensor; labels: IntTensor } {
  return withGenerator(new Generator(rows + 100 * classes), () => {
    const [student, teacher] = [randn([rows, classes]).mul(2), randn([rows, classes]).mul(3)];
    student.requiresGrad = true;
    return { student, teacher, labels: randint(0, classes, [rows]) };
  });
}

/** Central differences of a function of logits, in double precision: an error of about 1e-11. */
function differences(logits: Tensor, f: (logits: Float64Array) => number): number[] {
  const wide = Float64Array.from(logits.data);
  return Array.from(wide.keys(), (at) => slope(wide, at, 1e-3, () => f(wide)));
}

describe.each([
  [1, 1],
  [1, 2],
  [7, 10],
  [3, 5],
  [13, 17],
  [65, 3],
])("logits [%d, %d]", (rows, classes) => {
  const { student, teacher, labels } = draw(rows, classes);

  it.each([0, 0.1, 1])("crossEntropy, smoothed by %d", (labelSmoothing) => {
    student.zeroGrad();
    const loss = crossEntropy(student, labels, { labelSmoothing });
    const expected = (logits: ArrayLike<number>) =>
      reference.crossEntropy(logits, labels.data, classes, labelSmoothing);
    expectClose([loss.item()], [expected(student.data)], { rel: 3e-7, abs: 2e-7 }, "loss");
    loss.backward();
    expectClose(student.grad?.data ?? [], differences(student, expected), within(1 / rows, [student]), "gradient");
  });

  // Central differences of large logits take long: those show more rows than a block has, more classes than a vector.
  const temperatures = { 13: [0.5, 20], 65: [3.5] }[rows] ?? [0.5, 1, 3.5, 20];

  it.each(temperatures)("kdLoss at T = %d, for several alpha", (temperature) => {
    for (const [alpha, labelSmoothing] of [
      [0, 0],
      [0.25, 0],
      [0.6, 0],
      [1, 0],
      [0.4, 0.1],
      [0, 0.5],
    ] as const) {
      student.zeroGrad();
      const loss = kdLoss(student, teacher, labels, { temperature, alpha, labelSmoothing });
      const options = { classes, temperature, alpha, labelSmoothing };
      const expected = (logits: ArrayLike<number>) => reference.kdLoss(logits, teacher.data, labels.data, options);
      // KL is a small difference of logarithms of the size of 1, each rounded at 6e-8, and then taken T² times.
      const tolerance = { rel: 5e-7, abs: 2e-7 * Math.max(1, temperature ** 2) };
      expectClose([loss.item()], [expected(student.data)], tolerance, `loss, alpha ${alpha}`);
      loss.backward();
      expectClose(
        student.grad?.data ?? [],
        differences(student, expected),
        within((alpha * temperature + 1 - alpha) / rows, [student, teacher], temperature),
        `gradient, alpha ${alpha}`,
      );
    }
  });
});

describe("what comes from above scales the gradient", () => {
  const { student, teacher, labels } = draw(3, 5);
  const gradOf = (loss: () => Tensor) => {
    student.zeroGrad();
    loss().backward();
    return student.grad?.data ?? [];
  };

  it.each<[string, () => Tensor]>([
    ["crossEntropy", () => crossEntropy(student, labels)],
    ["kdLoss", () => kdLoss(student, teacher, labels)],
  ])("%s", (_, loss) => {
    const plain = Float32Array.from(gradOf(loss));
    expectClose(
      gradOf(() => loss().mul(-4).add(7)),
      plain.map((x) => -4 * x),
      {},
    );
    expectClose(
      gradOf(() => loss().add(loss())),
      plain.map((x) => 2 * x),
      {},
    );
  });

  it("none flows to the teacher", () => {
    teacher.requiresGrad = true;
    kdLoss(student, teacher, labels).backward();
    expect(teacher.grad).toBeNull();
  });
});
