import { describe, expect, it } from "vitest";
import { FrozenModel } from "../../src/graph/index.js";
import {
  BatchNorm2d,
  cat,
  exportOnnx,
  F,
  Generator,
  Module,
  ones,
  randn,
  type Tensor,
  tensor,
} from "../../src/index.js";
import { logitsOf, opTypes, relativeError, run } from "../export/support.js";

class Of extends Module {
  constructor(readonly body: (x: Tensor) => Tensor) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return this.body(x);
  }
}

const image = (x: Tensor) => x.reshape([-1, 1, 2, 3]);
const kernels = randn([2, 1, 2, 2]);
const DEPTHWISE = { groups: 2, padding: [0, 1], dilation: [2, 1] } as const;
/** A network gives rows. */
const rows = (x: Tensor) => x.flatten(1);
const square = (x: Tensor) => x.mul(x).add(0.1);
const table = tensor([0, 1, 2, 3].map((i) => [i / 2 - 1, 0.3 - i, i * i]));
/** -2, 0 or 3: small values become padding. */
const idsOf = (x: Tensor) => x.mul(1e9).clamp(-2, 3);

/**
 * Forwards that are no case of test/export/operations.test.ts, or whose nodes could be others: what is computed of a
 * batch, and the types of its nodes.
 */
const FORWARDS: Record<string, [(x: Tensor) => Tensor, string]> = {
  log1p: [(x) => square(x).log1p(), "Mul Add Add Sub IsInf Equal Or Log Div Mul Where"],
  rsqrt: [(x) => square(x).rsqrt(), "Mul Add Sqrt Reciprocal"],
  logSigmoid: [(x) => F.logSigmoid(x), "Neg Softplus Neg"],
  silu: [(x) => F.silu(x), "Sigmoid Mul"],
  gelu: [(x) => F.gelu(x), "Mul Erf Mul Add Mul"],
  geluTanh: [(x) => F.gelu(x, { approximate: "tanh" }), "Mul Mul Mul Add Mul Tanh Mul Add Mul"],
  divideBy: [(x) => x.div(3), "Div"],
  power: [(x) => x.pow(2), "Pow"],
  severalAxes: [(x) => x.reshape([-1, 2, 3]).sum([1, 2]), "Reshape ReduceSum"],
  permute: [(x) => x.reshape([-1, 2, 3]).permute([0, 2, 1]), "Reshape Transpose"],
  softmaxOfAnAxis: [(x) => x.reshape([-1, 2, 3]).softmax(1), "Reshape Transpose Softmax Transpose"],
  slice: [(x) => x.slice(1, 6, { dim: 1, step: 2 }), "Slice"],
  cat: [(x) => cat([x, x.neg()], 1), "Neg Concat"],
  expand: [(x) => rows(x.unsqueeze(1).expand([-1, 2, 6])), "Reshape Expand Reshape"],
  squeeze: [(x) => x.unsqueeze(1).squeeze(1), "Reshape Reshape"],
  matmulOfRank3: [(x) => x.reshape([-1, 2, 3]).matmul(ones([3, 2])), "Reshape Reshape MatMul Reshape"],
  embedding: [(x) => rows(F.embedding(idsOf(x.abs()), table)), "Abs Mul Clip Cast Gather Reshape"],
  embeddingBag: [
    (x) => F.embeddingBag(idsOf(x), table, { paddingIdx: 0 }),
    "Mul Clip Abs Cast Gather Equal Not Cast Less Where Mul Unsqueeze MatMul ReduceSum Max Squeeze Div",
  ],
  embeddingBagOfWeights: [
    (x) => F.embeddingBag(idsOf(x), table, { mode: "sum", perSampleWeights: x }),
    "Mul Clip Abs Cast Gather Equal Not Cast Less Where Mul Mul Unsqueeze MatMul Squeeze",
  ],
  hardswish: [(x) => F.hardswish(x.mul(3)), "Mul HardSigmoid Mul"],
  conv2d: [(x) => rows(F.conv2d(image(x), kernels, ones([2]), { padding: [1, 0], stride: 2 })), "Reshape Conv Reshape"],
  depthwise: [(x) => rows(F.conv2d(x.reshape([-1, 2, 3, 1]), kernels, null, DEPTHWISE)), "Reshape Conv Reshape"],
  maxPool2d: [(x) => rows(F.maxPool2d(image(x), 2, { stride: 1, padding: 1 })), "Reshape MaxPool Reshape"],
  avgPool2d: [(x) => rows(F.avgPool2d(image(x), 2, { stride: 1, padding: 1 })), "Reshape AveragePool Reshape"],
  adaptiveAvgPool2d: [(x) => rows(F.adaptiveAvgPool2d(image(x), [1, 3])), "Reshape AveragePool Reshape"],
  batchNorm2d: [
    (x) => rows(new BatchNorm2d(2).eval().forward(x.reshape([-1, 2, 3, 1]))),
    "Reshape BatchNormalization Reshape",
  ],
  var: [(x) => x.var(1), "ReduceMean Sub Mul ReduceSum Div"],
};

describe("ONNX Runtime computes what the operation computes", () => {
  it.each(Object.entries(FORWARDS))("%s", async (_, [body, nodes]) => {
    const network = new Of(body);
    const x = randn([5, 6]);
    const bytes = exportOnnx(network, { features: 6 });
    expect(opTypes(bytes).join(" ")).toBe(nodes);
    const expected = logitsOf(network, x);
    const { data, dims } = await run(bytes, x.data, 6, 5);
    expect(dims).toEqual(expected.shape);
    expect(relativeError(data, expected.data, expected.size)).toBeLessThan(2e-6);
  });
});

describe("the native executor gives the bits of the operation", () => {
  it.each(Object.entries(FORWARDS))("%s", (_, [body]) => {
    const network = new Of(body);
    const x = randn([5, 6]);
    const frozen = FrozenModel.from(network, [6], { training: false });
    const generator = new Generator(1);
    frozen.enqueue(x, generator);
    expect(frozen.take(x, generator).output.data).toEqual(logitsOf(network, x).data);
  });
});
