import { describe, expect, it } from "vitest";
import {
  crossEntropy,
  IntTensor,
  type KdLossOptions,
  kdLoss,
  type Labels,
  ones,
  type Tensor,
  tensor,
  zeros,
} from "../../src/index.js";

const [student, teacher] = [zeros([2, 10]), ones([2, 10])];
const good = Int32Array.of(3, 9);
const both: [string, (logits: Tensor, labels: Labels) => Tensor][] = [
  ["crossEntropy", crossEntropy],
  ["kdLoss", (logits, labels) => kdLoss(logits, ones(logits.shape), labels)],
];
const refused = (code: string, message = "") =>
  expect.objectContaining({ name: "DistilleryError", code, message: expect.stringContaining(message) });

describe.each(both)("%s refuses", (_, loss) => {
  it.each<[string, Labels, string, string?]>([
    [
      "a label of the number of classes",
      Int32Array.of(3, 10),
      "LABEL_OUT_OF_RANGE",
      "labels[1]: expected a class from 0 to 9, got 10",
    ],
    ["a negative label", Int32Array.of(-1, 3), "LABEL_OUT_OF_RANGE", "labels[0]"],
    ["PyTorch's ignore_index", Int32Array.of(-100, 3), "LABEL_OUT_OF_RANGE"],
    ["too few labels", Int32Array.of(3), "SHAPE_MISMATCH", "labels"],
    ["too many labels", Int32Array.of(3, 3, 3), "SHAPE_MISMATCH", "labels"],
    ["no labels", new IntTensor(new Int32Array(0)), "SHAPE_MISMATCH", "labels"],
    ["labels that are not whole", Float32Array.of(0.5, 1) as never, "BAD_DTYPE", "labels"],
    ["labels in a plain array", [1, 2] as never, "BAD_DTYPE", "labels"],
    ["labels as a float tensor", tensor([1, 2]) as never, "BAD_DTYPE", "labels"],
    ["labels of 64 bits", BigInt64Array.of(1n, 2n) as never, "BAD_DTYPE", "labels"],
    ["labels without a sign", Uint32Array.of(1, 2) as never, "BAD_DTYPE", "labels"],
    ["no labels at all", undefined as never, "BAD_DTYPE", "labels"],
  ])("%s", (_, labels, code, message) => {
    expect(() => loss(student, labels)).toThrow(refused(code, message));
  });

  it.each<[string, Tensor, string]>([
    ["logits that are a row", zeros([10]), "SHAPE_MISMATCH"],
    ["no rows", zeros([0, 10]), "SHAPE_MISMATCH"],
    ["no classes", zeros([2, 0]), "SHAPE_MISMATCH"],
    [
      "NaN",
      tensor([
        [0, Number.NaN],
        [0, 0],
      ]),
      "NON_FINITE",
    ],
    [
      "infinite logits",
      tensor([
        [0, Number.POSITIVE_INFINITY],
        [0, 0],
      ]),
      "NON_FINITE",
    ],
  ])("%s", (_, logits, code) => {
    const labels = new Int32Array(logits.shape[0] ?? 0);
    expect(() => loss(logits, labels)).toThrow(refused(code));
  });
});

it("crossEntropy refuses labels of another shape than the logits' places", () => {
  const error = refused("SHAPE_MISMATCH", "crossEntropy: labels: expected shape [2, 4], got [4, 2]");
  expect(() => crossEntropy(zeros([2, 3, 4]), new IntTensor(new Int32Array(8), [4, 2]))).toThrow(error);
});

it.each([-0.01, 1.01, Number.NaN, "0.1", null])("both refuse a label smoothing of %s", (value) => {
  const labelSmoothing = value as number;
  const error = refused("BAD_ARGUMENT", "labelSmoothing: expected a number from 0 to 1, got ");
  expect(() => crossEntropy(student, good, { labelSmoothing })).toThrow(error);
  expect(() => kdLoss(student, teacher, good, { labelSmoothing })).toThrow(error);
});

describe("kdLoss refuses", () => {
  const at = (options: KdLossOptions) => () => kdLoss(student, teacher, good, options);

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, "2", null])("a temperature of %s", (temperature) => {
    expect(at({ temperature: temperature as number })).toThrow(
      refused("BAD_ARGUMENT", "temperature: expected a number above 0"),
    );
  });

  it.each([1e30, 1e-30])("a temperature of %s, of which nothing is left in single precision", (temperature) => {
    const message = `temperature: expected a temperature from 0.001 to 1000000, got ${temperature}`;
    expect(at({ temperature })).toThrow(refused("BAD_ARGUMENT", message));
  });

  it.each([-0.01, 1.01, Number.NaN, Number.NEGATIVE_INFINITY, "0.5", null])("an alpha of %s", (alpha) => {
    expect(at({ alpha: alpha as number })).toThrow(refused("BAD_ARGUMENT", "alpha: expected a number from 0 to 1"));
  });

  it.each<[string, Tensor, Tensor, string]>([
    ["a student of 9 classes", zeros([2, 9]), teacher, "teacherLogits: expected shape [2, 9], got [2, 10]"],
    ["a teacher of 9 classes", student, zeros([2, 9]), "teacherLogits: expected shape [2, 10], got [2, 9]"],
    ["a teacher of other rows", student, zeros([3, 10]), "teacherLogits: expected shape [2, 10], got [3, 10]"],
  ])("%s", (_, ofStudent, ofTeacher, message) => {
    expect(() => kdLoss(ofStudent, ofTeacher, good)).toThrow(refused("SHAPE_MISMATCH", message));
  });

  it("a lack of labels, unless alpha is 1", () => {
    const from = (options: KdLossOptions, labels: Int32Array | null) => () => kdLoss(student, teacher, labels, options);
    expect(from({ alpha: 0.9 }, null)).toThrow(refused("BAD_DTYPE", "labels: expected an IntTensor or Int32Array"));
    const message = "kdLoss: labels[1]: expected a class from 0 to 9, got -1";
    expect(from({ alpha: 0.9 }, Int32Array.of(0, -1))).toThrow(refused("LABEL_OUT_OF_RANGE", message));
    expect(from({ alpha: 1 }, Int32Array.of(0, -2))).toThrow(refused("LABEL_OUT_OF_RANGE", "kdLoss: labels[1]"));
    expect(from({ alpha: 1 }, Int32Array.of(0))).toThrow(refused("SHAPE_MISMATCH", "kdLoss: labels"));
  });

  it("what is no tensor, naming it", () => {
    expect(() => kdLoss(student.data as never, teacher, good)).toThrow(refused("BAD_DTYPE", "kdLoss: studentLogits"));
    expect(() => kdLoss(student, null as never, good)).toThrow(refused("BAD_DTYPE", "kdLoss: teacherLogits"));
    expect(() => crossEntropy([[1, 2]] as never, good)).toThrow(refused("BAD_DTYPE", "crossEntropy: logits"));
  });

  it("a teacher with NaN", () => {
    const sick = tensor([[0, Number.NaN]]);
    const message = "kdLoss: teacherLogits: expected finite numbers, got NaN in row 0";
    expect(() => kdLoss(zeros([1, 2]), sick, Int32Array.of(0))).toThrow(refused("NON_FINITE", message));
    const certain = tensor([
      [0, -Infinity],
      [Infinity, 0],
    ]);
    expect(() => kdLoss(certain, zeros([2, 2]), Int32Array.of(0, 0))).toThrow(
      refused("NON_FINITE", "kdLoss: studentLogits: expected finite numbers, got Infinity in row 1"),
    );
  });
});
