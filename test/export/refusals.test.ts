import { describe, expect, test } from "vitest";
import { withinText } from "../../src/export/js/export_js.js";
import { onnxRecordOf } from "../../src/export/onnx_record.js";
import {
  crossEntropy,
  DistilleryError,
  type ErrorCode,
  exportOnnx,
  F,
  IntTensor,
  Linear,
  type Module,
  type OnnxOptions,
  ones,
  type Preprocessing,
  randn,
  Sequential,
  StudentNet,
  TeacherNet,
  type Tensor,
  tensor,
  zeros,
} from "../../src/index.js";
import { Of } from "./networks.js";

function refusal(network: Module, options?: OnnxOptions): [ErrorCode, string] {
  try {
    exportOnnx(network, options);
  } catch (error) {
    if (error instanceof DistilleryError) return [error.code, error.message];
    throw error;
  }
  throw new Error("nothing was thrown");
}

const small = () => new StudentNet({ inFeatures: 4, hidden: [3, 3], classes: 2 });

describe("options", () => {
  test.each([
    [{ input: "" }, 'input: expected a name, got ""'],
    [{ output: 3 }, "output: expected a name, got 3"],
    [{ output: "input" }, `output: expected another name than the input's, got "input"`],
    [{ opset: 12 }, "opset: expected a whole number from 13 to 24, got 12"],
    [{ opset: 25 }, "opset: expected a whole number from 13 to 24, got 25"],
    [{ opset: 17.5 }, "opset: expected a whole number from 13 to 24, got 17.5"],
    [{ quantize: "int4" }, 'quantize: expected "int8" or "float16", got "int4", did you mean int8?'],
    [{ embedNormalisation: 1 }, "embedNormalisation: expected true or false, got 1"],
    [
      { embedNormalisation: true },
      "normalisation: expected { mean, std }, which embedNormalisation puts into the graph, got undefined",
    ],
    [{ normalisation: 0.5 }, "normalisation: expected { mean, std }, got 0.5"],
    [{ normalisation: { mean: Number.NaN, std: 1 } }, "normalisation.mean: expected a finite number, got NaN"],
    [{ normalisation: { mean: [0, Number.NaN], std: 1 } }, "normalisation.mean[1]: expected a finite number, got NaN"],
    [
      { normalisation: { mean: [], std: 1 } },
      "normalisation.mean: expected a number for each channel, got an empty list",
    ],
    [{ normalisation: { mean: 0, std: 0 } }, "normalisation.std: expected a number above 0, got 0"],
    [
      { preprocessing: {} },
      "preprocessing: expected what readPreprocessing(file) gives or, if that is null, preprocessingOf(train) of its training data; got a value of type Object",
    ],
    [{ features: 0 }, "features: expected a whole number from 1 to 2147483647, got 0"],
  ])("%j", (options, message) => {
    expect(refusal(small(), options as OnnxOptions)).toEqual(["BAD_ARGUMENT", message]);
  });

  const spec = { kind: "values", features: 4, classes: 2, classNames: null } as const;
  test.each<[Partial<Preprocessing>, string]>([
    [{ classes: 3, classNames: ["a", "b", "c"] }, "is of 3 outputs, and the network has 2"],
    [{ task: "regression", classes: 1, targets: { mean: [0], std: [1] } }, "is of 1 outputs, and the network has 2"],
  ])("a preprocessing of another network: %j", (more, message) => {
    const preprocessing = { ...spec, ...more } as Preprocessing;
    expect(refusal(small(), { preprocessing })).toEqual(["SHAPE_MISMATCH", `preprocessing: ${message}`]);
  });

  const colour = {
    kind: "image",
    channels: 3,
    height: 2,
    width: 2,
    mean: [0, 0, 0],
    std: [1, 1, 1],
    classes: 2,
  } as const;
  test.each<[Preprocessing, OnnxOptions["normalisation"], string, string]>([
    [
      { ...colour, classNames: null },
      { mean: [0, 0.9], std: 1 },
      "SHAPE_MISMATCH",
      "normalisation.mean: expected a number, or 3 of them, one a channel; got 2",
    ],
    [
      { ...colour, classNames: null },
      { mean: 0, std: [1, 1] },
      "SHAPE_MISMATCH",
      "normalisation.std: expected a number, or 3 of them, one a channel; got 2",
    ],
    [
      { ...colour, classNames: null },
      { mean: [0, 0, 0], std: [1, 1] },
      "BAD_ARGUMENT",
      "normalisation.std: expected 3 numbers, as many as the mean's, got [1, 1]",
    ],
    [
      { ...spec, features: 12 },
      { mean: 0, std: 1 },
      "BAD_ARGUMENT",
      "normalisation: expected none: it is of images, and the preprocessing of values, got ",
    ],
  ])("a normalisation that is not the images' of %j: %j", (preprocessing, normalisation, code, message) => {
    const network = new StudentNet({ inFeatures: 12, hidden: [3, 3], classes: 2 });
    for (const embedNormalisation of [true, false]) {
      const [got, text] = refusal(network, { preprocessing, normalisation, embedNormalisation });
      expect(got).toBe(code);
      expect(text.slice(0, message.length)).toBe(message);
    }
  });

  test("a file whose normalisation is not of its images' channels", () => {
    const network = new StudentNet({ inFeatures: 12, hidden: [3, 3], classes: 2 });
    const normalisation = { mean: [0, 0.25, 1], std: 1 };
    const bytes = Buffer.from(exportOnnx(network, { preprocessing: { ...colour, classNames: null }, normalisation }));
    expect(onnxRecordOf(bytes, "x.onnx")?.preprocessing).toMatchObject({ mean: [0, 0.25, 1], std: [1, 1, 1] });
    bytes.write("0,0.2511", bytes.indexOf("0,0.25,1"));
    expect(() => onnxRecordOf(bytes, "x.onnx")).toThrow(/^x\.onnx: its preprocessing/);
  });

  test("targets whose mean float32 rounds by much of their deviation", () => {
    const targets = { mean: [0, 1.75e9], std: [1, 600] };
    const preprocessing = { ...spec, task: "regression", classNames: ["a", "time"], targets } as Preprocessing;
    expect(refusal(small(), { preprocessing })).toEqual([
      "BAD_ARGUMENT",
      'preprocessing.targets: "time" has a mean of 1750000000 and a deviation of 600, which float32 outputs of ONNX do not hold: ' +
        "export JavaScript, which computes them in double precision, or train on the column less its mean",
    ]);
    exportOnnx(small(), {
      preprocessing: { ...preprocessing, targets: { mean: [0, 1750], std: [1, 600] } } as Preprocessing,
    });
  });

  test("weights that are longer as text than a text can be", () => {
    expect(() => withinText(() => "x".repeat(2 ** 30))).toThrow(
      /^network: its weights are longer as text than the \d+ char/,
    );
    expect(() => withinText(() => Buffer.alloc(2 ** 29).toString("latin1"))).toThrow(DistilleryError);
  });

  test("a preprocessing of another input than that of the features", () => {
    expect(refusal(small(), { preprocessing: { ...spec, features: 3 }, features: 4 })).toEqual([
      "SHAPE_MISMATCH",
      "preprocessing: gives 3 values a sample, and the network takes 4",
    ]);
  });

  test("undefined counts as not given", () => {
    const network = small();
    expect(exportOnnx(network, { opset: undefined, input: undefined } as never)).toEqual(exportOnnx(network));
  });

  test("what is no Module, and a number of features that does not fit", () => {
    expect(refusal({} as Module)).toEqual(["BAD_DTYPE", "network: expected a Module, got a value of type Object"]);
    expect(refusal(new Sequential())[1]).toBe("features: needed for a network without Linear and BatchNorm1d");
    expect(refusal(small(), { features: 5 })).toEqual([
      "SHAPE_MISMATCH",
      "linear: x: expected shape [*, 4], got [2, 5]",
    ]);
  });
});

describe("a forward that a file can't express", () => {
  const layer = new Linear(3, 3);
  const copied = (x: Tensor) => tensor(Float32Array.from(x.data), { shape: x.shape });
  const bn = { weight: ones([3]), bias: zeros([3]), runningMean: zeros([3]), runningVar: ones([3]) };
  const labels = new IntTensor(Int32Array.of(0, 1, 2));

  test.each([
    ["reads the values", (x) => x.mul(copied(x)), "a tensor changes with the batch"],
    ["reads one value", (x) => x.mul(x.data[0]), "a tensor changes with the batch"],
    ["reads the number of rows", (x) => x.mul(x.shape[0]), "a tensor changes with the batch"],
    ["draws random numbers", (x) => x.add(randn([3])), "a tensor changes with the batch"],
    ["branches by the rows", (x) => (x.shape[0] === 2 ? x.relu() : x.add(1)), "what is computed depends on the batch"],
    ["loops over the rows", (x) => (x.shape[0] === 2 ? x : x.relu()), "what is computed depends on the batch"],
    ["gives a copy", (x) => copied(layer.forward(x)), "the result does not come from the input"],
    ["gives a constant", () => ones([3]), "the result does not come from the input"],
    ["takes rows", (x) => layer.forward(x.slice(0, 1)), "slice() takes rows out of the batch"],
    ["drops out in eval mode too", (x) => F.dropout(x, 0.5, true), "dropout with training: true is random"],
    [
      "normalises by the batch",
      (x) => F.batchNorm(x, bn, { training: true, momentum: 0, eps: 1e-5 }),
      "batchNorm with training: true mixes the rows of a batch",
    ],
    ["ends in a loss", (x) => crossEntropy(x, labels.slice(0, x.shape[0])), 'it has no form for the operation "loss"'],
    [
      "makes two lengths follow the batch",
      (x) =>
        x
          .reshape([-1, 1])
          .matmul(x.reshape([1, -1]))
          .reshape([3, x.shape[0], -1]),
      "reshape() makes more than one length follow the batch",
    ],
  ] as [string, (x: Tensor) => Tensor, string][])("%s", (_, body, reason) => {
    const [code, message] = refusal(new Of(body));
    expect(code).toBe("BAD_ARGUMENT");
    expect(message.startsWith(`network: expected one that ONNX can express; in forward(), ${reason}`), message).toBe(
      true,
    );
  });

  test("modes are set back, and what is not on the way to the result is no matter", () => {
    const network = new Of((x) => x.slice(0, 1));
    refusal(network);
    expect([network.training, network.layer.training]).toEqual([true, true]);
    const unused = new Of((x) => {
      crossEntropy(x.slice(0, 1), labels.slice(0, 1));
      return x.relu();
    });
    expect(exportOnnx(unused)).toEqual(exportOnnx(new Of((x) => x.relu())));
  });

  test("a forward that gives no tensor", () => {
    expect(refusal(new Of(() => 3 as never))).toEqual(["BAD_ARGUMENT", "network: forward: expected a Tensor, got 3"]);
  });
});

describe("weights that are not finite", () => {
  test("in a layer, in a statistic that is folded, in what folding gives", () => {
    const network = new TeacherNet({ inFeatures: 3, hidden: [3, 3, 3], classes: 2 });
    network.fc2.weight.data[4] = Number.NaN;
    expect(refusal(network)).toEqual(["NON_FINITE", "fc2.weight: expected finite values, got NaN at 4"]);
    network.fc2.weight.data[4] = 1;
    network.bn3.runningVar.data[1] = Number.POSITIVE_INFINITY;
    expect(refusal(network)).toEqual(["NON_FINITE", "bn3.running_var: expected finite values, got Infinity at 1"]);
    network.bn3.runningVar.data[1] = -1;
    expect(refusal(network)).toEqual(["NON_FINITE", "fc3.weight: expected finite values, got NaN at 3"]);
  });
});
