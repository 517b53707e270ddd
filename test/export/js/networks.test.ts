import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { textEncoding } from "../../../src/data/text/encodings.js";
import { exportedGraph } from "../../../src/export/index.js";
import { GraphModule } from "../../../src/graph/index.js";
import {
  createNetwork,
  exportJs,
  F,
  Linear,
  Module,
  manualSeed,
  type Preprocessing,
  randn,
  Sequential,
  StudentNet,
  Tensor,
} from "../../../src/index.js";
import { MODULES, Tied } from "../../nn/networks.js";
import { Everything, lived, Of } from "../networks.js";
import { logitsOf, relativeError } from "../support.js";
import { type Exported, exported } from "./support.js";

manualSeed(1);
const CLOSE = 1e-5;
const TOKENIZER = fileURLToPath(new URL("../../data/fixtures/tokenizer/wordpiece.json", import.meta.url));
const TOKENS = `tokenizer(file=${JSON.stringify(TOKENIZER)}, length=20)`;

/** The outputs of a module for each sample of a batch. */
function outputsOf({ forward }: Exported, x: Tensor): Float32Array {
  const [rows = 0] = x.shape;
  const size = x.size / rows;
  const parts = Array.from({ length: rows }, (_, i) => forward(x.data.slice(i * size, (i + 1) * size)));
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

describe("logits are ours to 1e-5 of a row's size", () => {
  test.each([
    ["StudentNet", new StudentNet(), 784],
    ["every operation, BatchNorm that can't be folded", lived(new Everything(), 12), 12],
    ["one weight in two layers", new Tied(), 2],
    ["nothing", new Sequential(), 6],
    ["a function", new Of((x) => x.mul(x.tanh()).add(1)), 3],
  ] as [string, Module, number][])("%s", (_, network, features) => {
    const x = randn([9, features]);
    const expected = logitsOf(network, x);
    expect(relativeError(outputsOf(exported(network, { features }), x), expected.data, expected.size / 9)).toBeLessThan(
      CLOSE,
    );
  });

  test.each(Object.entries(MODULES))("%s", (_, make) => {
    const network = make();
    const first = network.namedParameters().find(([name]) => name.endsWith("weight"))?.[1];
    const isBlock = network.namedChildren().some(([name]) => name === "block");
    const features = isBlock ? 3 : (first?.shape.at(-1) ?? 4);
    lived(network, features);
    const x = randn([5, features]);
    const expected = logitsOf(network, x);
    expect(relativeError(outputsOf(exported(network, { features }), x), expected.data, expected.size / 5)).toBeLessThan(
      CLOSE,
    );
  });

  test.each(["resnet8", "vgg8", "MobileNetV2", "ShuffleNetV2", "lenet5"])("%s", (name) => {
    const shape = [3, 32, 32];
    const network = createNetwork(name, { shape, classes: 10 });
    // Moves the running statistics.
    for (let i = 0; i < 3; i++) network.train().forward(randn([4, ...shape]));
    network.eval();
    const x = randn([2, ...shape]);
    const got = outputsOf(exported(network, { features: shape }), x);
    expect(relativeError(got, logitsOf(network, x).data, 10)).toBeLessThan(CLOSE);
  });
});

describe.each(["int8", "float16"] as const)("weights as %s", (quantize) => {
  test.each([
    ["StudentNet", new StudentNet({ inFeatures: 20, hidden: [18, 9], classes: 3 }), [20]],
    ["resnet8", createNetwork("resnet8", { shape: [1, 12, 12], classes: 3 }).eval(), [1, 12, 12]],
  ] as [string, Module, number[]][])("%s gives the logits of the rounded weights", (_, network, features) => {
    const x = randn([4, ...features]);
    const rounded = logitsOf(new GraphModule(exportedGraph(network, { quantize, features }, "JavaScript")), x);
    const got = outputsOf(exported(network, { quantize, features }), x);
    expect(relativeError(got, rounded.data, 3)).toBeLessThan(CLOSE);
    const error = relativeError(got, logitsOf(network, x).data, 3);
    expect([error > 1e-5, error < (quantize === "int8" ? 0.1 : 2e-3)]).toEqual([true, true]);
  });

  test("the text is shorter", () => {
    const [whole, rounded] = [exportJs(new StudentNet()), exportJs(new StudentNet(), { quantize })];
    expect(rounded.code.length / whole.code.length).toBeLessThan(quantize === "int8" ? 0.23 : 0.51);
  });
});

test("the text reads like code: a statement a layer, only the functions that are called, numbers at the end", () => {
  const { code } = exportJs(new StudentNet({ inFeatures: 4, hidden: [3, 2], classes: 2 }));
  expect(code).toContain(`function forward(x) {
  const fc1 = addBias(matmul(x, fc1_weight, 4, 3), fc1_bias); // [3]
  const relu1 = relu(fc1); // [3]
  const fc2 = addBias(matmul(relu1, fc2_weight, 3, 2), fc2_bias); // [2]
  const relu2 = relu(fc2); // [2]
  const fc3 = addBias(matmul(relu2, fc3_weight, 2, 2), fc3_bias); // [2]
  return fc3;
}`);
  expect([...code.matchAll(/^(?:export )?function (\w+)/gm)].map(([, name]) => name)).toEqual([
    "classify",
    "logits",
    "finite",
    "encode",
    "forward",
    "inputError",
    "matmul",
    "addBias",
    "relu",
  ]);
  expect(code.trimEnd().split("\n").at(-1)).toMatch(/^const fc3_bias = Float32Array\.of\(.*\); \/\/ \[2\]$/);
  expect(code).not.toMatch(/\bimport\b|\brequire\b|\beval\b|\bnew Function\b|\bawait\b/);
});

test("layers that are called as functions, reserved words and values of the module are", () => {
  class Named extends Module {
    readonly linear = new Linear(4, 4);
    readonly relu = new Linear(4, 4);
    readonly x = new Linear(4, 4);
    readonly delete = new Linear(4, 4);
    override forward(x: Tensor): Tensor {
      return this.delete.forward(this.x.forward(this.relu.forward(this.linear.forward(x).relu())));
    }
  }
  const network = new Named();
  const x = randn([3, 4]);
  expect(relativeError(outputsOf(exported(network), x), logitsOf(network, x).data, 4)).toBeLessThan(CLOSE);
});

describe("a weight may have any name that the module's own text has", () => {
  const names = { classes: 3, classNames: ["a", "b", "c"] };
  const SPECS: Record<string, Preprocessing> = {
    image: { kind: "image", channels: 1, height: 4, width: 5, mean: [0.2], std: [0.5], ...names },
    values: { kind: "values", features: 20, mean: Array(20).fill(1), std: Array(20).fill(2), ...names },
    table: {
      kind: "table",
      header: true,
      label: { name: "label", index: 20 },
      ...names,
      columns: [
        { name: "c", mean: 0, std: 1, format: { decimal: ",", group: "", unit: "" } },
        { name: "text", text: { ...textEncoding("hash(buckets=9, length=19)") } },
      ],
    },
    tokens: {
      kind: "table",
      header: true,
      label: { name: "label", index: 20 },
      ...names,
      columns: [{ name: "text", text: { ...textEncoding(TOKENS) } }],
    },
  };
  const OWN: [string, string[]][] = [
    ["image", ["mean", "std", "pixelsOf", "encode", "classify", "logits", "finite", "inputError", "classNames"]],
    ["values", ["mean", "std", "forward", "x", "bytes", "float32", "atob", "Math", "Float32Array", "linear", "zip"]],
    ["table", ["columns", "missing", "encodeCell", "plain", "formatted", "hashText"]],
    ["tokens", ["encodeTokens", "Tokenizer", "made"]],
  ];
  class Named extends Module {
    readonly first = new Linear(20, 20);
    readonly last = new Linear(20, 3);
    constructor(weights: readonly string[]) {
      super();
      for (const weight of weights) this.registerBuffer(weight, randn([20]).mul(0.1).add(1));
    }
    override forward(x: Tensor): Tensor {
      const buffers = this.namedBuffers().map(([, buffer]) => buffer as Tensor);
      const hidden = buffers.reduce((y, buffer, i) => (i % 2 ? y.add(buffer) : y.mul(buffer)), this.first.forward(x));
      return this.last.forward(hidden);
    }
  }
  test.each(OWN)("%s: %j", (kind, names) => {
    const network = new Named(names).eval();
    for (const quantize of [undefined, "int8", "float16"] as const) {
      const preprocessing = SPECS[kind] as Preprocessing;
      const { classify, encode } = exported(network, { preprocessing, ...(quantize && { quantize }) });
      const sample = { image: new Uint8Array(20).fill(7), values: Array(20).fill(3) }[kind] ?? { c: "1,5", text: "a" };
      const x = new Tensor(encode(sample), [1, 20]);
      const rounded = new GraphModule(exportedGraph(network, { quantize, features: 20 }, "JavaScript"));
      const wanted = F.softmax(rounded.forward(x), 1).data;
      for (const [i, p] of classify(sample).probabilities.entries()) expect(p).toBeCloseTo(wanted[i] as number, 5);
    }
  });

  test("of what quantised weights need", () => {
    const network = new Named(["bytes", "float16", "int8", "unpacked", "placed", "webAssembly"]).eval();
    for (const quantize of ["int8", "float16"] as const) {
      const x = randn([1, 20]);
      const { forward } = exported(network, { quantize });
      expect(relativeError(forward(x.data), network.forward(x).data, 3)).toBeLessThan(0.1);
    }
  });
});
