import { describe, expect, test } from "vitest";
import { evaluate, Module, type Tensor, TensorDataset, tensor, zeros } from "../../src/index.js";

/** Gives its inputs as logits. */
class Same extends Module {
  override forward(x: Tensor): Tensor {
    return x;
  }
}

/** Examples of two classes whose predicted one has these probabilities, right where `right` says so. */
function calibrationOf(confidences: readonly number[], right: readonly boolean[]) {
  const logits = tensor(confidences.map((p) => [Math.log(p), Math.log(1 - p)]));
  const labels = Int32Array.from(right, (is) => (is ? 0 : 1));
  return evaluate(new Same(), new TensorDataset(logits, labels, { classes: 2 })).calibration;
}

describe("the expected calibration error", () => {
  test("is the gap of each bin, weighed by its samples", () => {
    // Bins of 1/15: 0.52 and 0.53 lie in the eighth (7/15 to 8/15), 0.62 in the tenth, 0.97 in the last.
    const { error, bins } = calibrationOf([0.52, 0.53, 0.62, 0.97], [true, false, false, true]);
    const gaps = 2 * Math.abs(0.525 - 0.5) + 0.62 + (1 - 0.97);
    expect(error).toBeCloseTo(gaps / 4, 6);
    expect(bins).toHaveLength(15);
    const used = bins.flatMap(({ confidence, accuracy, count }, i) =>
      count === 0 ? [] : [[i, accuracy, count, confidence]],
    );
    expect(used).toEqual([
      [7, 0.5, 2, expect.closeTo(0.525, 6)],
      [9, 0, 1, expect.closeTo(0.62, 6)],
      [14, 1, 1, expect.closeTo(0.97, 6)],
    ]);
  });

  test("of a network that is sure and right is 0, of one that is sure and wrong 1", () => {
    const sure = 1 - 1e-9;
    expect(calibrationOf([sure, sure], [true, true]).error).toBeCloseTo(0, 6);
    expect(calibrationOf([sure, sure], [false, false]).error).toBeCloseTo(1, 6);
  });

  test.each([
    [1, 14],
    [3, 4],
    [5, 2],
    [15, 0],
  ])("a bin has its upper end: 1/%i lies in bin %i", (classes, bin) => {
    const data = new TensorDataset(zeros([1, classes]), Int32Array.of(0), { classes });
    const { bins } = evaluate(new Same(), data).calibration;
    expect(bins.map(({ count }) => count)).toEqual(Array.from({ length: 15 }, (_, i) => Number(i === bin)));
    expect(bins[bin]?.confidence).toBe(1 / classes);
  });
});
