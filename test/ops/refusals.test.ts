import { describe, expect, it } from "vitest";
import {
  argmax,
  argmin,
  BatchNorm2d,
  cat,
  F,
  IntTensor,
  manualSeed,
  matmul,
  noGrad,
  ones,
  stack,
  type Tensor,
  tensor,
  where,
  zeros,
} from "../../src/index.js";

const x = zeros([2, 3]);
const index = (values: number[], shape: number[]) => new IntTensor(Int32Array.from(values), shape);

const vectors = { weight: ones([3]), bias: zeros([3]), runningMean: zeros([3]), runningVar: ones([3]) };
const norm = (options: object) => F.batchNorm(x, vectors, { training: false, momentum: 0.1, eps: 1e-5, ...options });

describe("what an operation refuses, with its name, the argument and the shapes", () => {
  it.each<[() => unknown, string, string]>([
    [() => x.sub(zeros([2])), "SHAPE_MISMATCH", "sub: other: expected shapes that broadcast, got [2, 3] and [2]"],
    [() => F.normalize(x, { eps: -1 }), "BAD_ARGUMENT", "normalize: eps: expected a number of at least 0, got -1"],
    [
      () => F.scaledDotProductAttention(x, zeros([4, 2]), x),
      "SHAPE_MISMATCH",
      "scaledDotProductAttention: key: expected shape [*, 3], got [4, 2]",
    ],
    [
      () => F.scaledDotProductAttention(x, x, x, { attnMask: zeros([3, 2]) }),
      "SHAPE_MISMATCH",
      "scaledDotProductAttention: attnMask: expected a shape that broadcasts to [2, 2], got [3, 2]",
    ],
    [
      () => F.scaledDotProductAttention(x, x, x, { attnMask: zeros([2, 2]), isCausal: true }),
      "BAD_ARGUMENT",
      "scaledDotProductAttention: attnMask: expected none beside isCausal",
    ],
    [() => x.gt(zeros([4])), "SHAPE_MISMATCH", "gt: other: expected shapes that broadcast, got [2, 3] and [4]"],
    [() => argmax(x, 1).eq(zeros([3])), "SHAPE_MISMATCH", "eq: other: expected shapes that broadcast, got [2] and [3]"],
    [
      () => index([1], [1]).lt("2" as never),
      "BAD_DTYPE",
      'lt: other: expected a Tensor, an IntTensor or a number, got "2"',
    ],
    [
      () => index([2 ** 30, 2 ** 30], [2]).sum(),
      "BAD_ARGUMENT",
      "sum: expected a sum that 32 bits hold (x.float().sum()), got 2147483648",
    ],
    [() => index([1], [1]).sum(1), "BAD_ARGUMENT", "dim: expected a whole number from -1 to 0, got 1"],
    [
      () => x.mul(x.gt(0) as never),
      "BAD_DTYPE",
      "mul: other: expected a Tensor (float() makes one), got a value of type IntTensor",
    ],
    [
      () => F.crossEntropy(x, zeros([2])),
      "BAD_DTYPE",
      "crossEntropy: labels: expected an IntTensor, an Int32Array, or probabilities of shape [2, 3], got a Tensor of shape [2]",
    ],
    [
      () => F.cosineEmbeddingLoss(x, x, zeros([2])),
      "BAD_ARGUMENT",
      "cosineEmbeddingLoss: target[0]: expected 1 or -1, got 0",
    ],
    [
      () => F.cosineEmbeddingLoss(x, x, Int32Array.of(1)),
      "SHAPE_MISMATCH",
      "cosineEmbeddingLoss: target: expected shape [2], got [1]",
    ],
    [
      () => F.cosineEmbeddingLoss(x, zeros([2, 2]), Int32Array.of(1, 1)),
      "SHAPE_MISMATCH",
      "cosineEmbeddingLoss: b: expected shape [2, 3], got [2, 2]",
    ],
    [
      () => F.cosineEmbeddingLoss(zeros([1, 2, 3]), x, Int32Array.of(1, 1)),
      "BAD_ARGUMENT",
      "cosineEmbeddingLoss: a: expected a shape [rows, features] or [features], got [1, 2, 3]",
    ],
    [
      () => F.cosineEmbeddingLoss(x, x, Int32Array.of(1, 1), { margin: Number.NaN }),
      "BAD_ARGUMENT",
      "cosineEmbeddingLoss: margin: expected a finite number, got NaN",
    ],
    [
      () => F.binaryCrossEntropy(tensor([0.5, 1.25]), ones([2])),
      "BAD_ARGUMENT",
      "binaryCrossEntropy: input[1]: expected a probability from 0 to 1, got 1.25: binaryCrossEntropyWithLogits takes logits",
    ],
    [
      () => F.binaryCrossEntropy(tensor([Number.NaN]), ones([1])),
      "BAD_ARGUMENT",
      "binaryCrossEntropy: input[0]: expected a probability from 0 to 1, got NaN: binaryCrossEntropyWithLogits takes logits",
    ],
    [
      () => F.binaryCrossEntropy(ones([3]), ones([3]), { weight: ones([3, 1]) }),
      "SHAPE_MISMATCH",
      "binaryCrossEntropy: weight, broadcast with input: expected shape [3], got [3, 3]",
    ],
    [
      () => F.tripletMarginLoss(x, x, zeros([2, 2])),
      "SHAPE_MISMATCH",
      "tripletMarginLoss: negative: expected shape [2, 3], got [2, 2]",
    ],
    [
      () => F.tripletMarginLoss(x, x, x, { margin: 0 }),
      "BAD_ARGUMENT",
      "tripletMarginLoss: margin: expected a number above 0, got 0",
    ],
    [
      () => F.tripletMarginLoss(x, x, x, { p: 3 }),
      "BAD_ARGUMENT",
      "tripletMarginLoss: p: expected 1, 2 or Infinity, got 3",
    ],
    [() => F.huberLoss(x, x, { delta: 0 }), "BAD_ARGUMENT", "huberLoss: delta: expected a number above 0, got 0"],
    [() => F.huberLoss(x, zeros([3])), "SHAPE_MISMATCH", "huberLoss: target: expected shape [2, 3], got [3]"],
    [
      () => F.crossEntropy(x, x, { weight: zeros([2]) }),
      "SHAPE_MISMATCH",
      "crossEntropy: weight: expected shape [3], got [2]",
    ],
    [
      () => F.crossEntropy(x, x, { reduction: "avg" as never }),
      "BAD_ARGUMENT",
      'crossEntropy: reduction: expected "none" or "mean" or "sum", got "avg"',
    ],
    [
      () => F.crossEntropy(x, x, { ignoreIndex: 1 }),
      "BAD_ARGUMENT",
      "crossEntropy: ignoreIndex: expected none beside probabilities, got 1",
    ],
    [() => x.div("2" as never), "BAD_DTYPE", 'div: other: expected a Tensor, got "2"'],
    [() => F.relu(5 as never), "BAD_DTYPE", "relu: x: expected a Tensor, got 5"],
    [() => F.linear(5 as never, x), "BAD_DTYPE", "linear: x: expected a Tensor, got 5"],
    [() => F.linear(x, x, 5 as never), "BAD_DTYPE", "linear: bias: expected a Tensor, got 5"],
    [() => new BatchNorm2d(3).forward(5 as never), "BAD_DTYPE", "BatchNorm2d: x: expected a Tensor, got 5"],
    [
      () => F.batchNorm(x, { ...vectors, runningVar: [1, 1, 1] as never }, { training: false, momentum: 0.1, eps: 1 }),
      "BAD_DTYPE",
      "batchNorm: runningVar: expected a Tensor, got [1, 1, 1]",
    ],
    [() => where([1] as never, x, 0), "BAD_DTYPE", "where: mask: expected an IntTensor, got [1]"],
    [
      () => F.gelu(x, { approximate: "tan" as never }),
      "BAD_ARGUMENT",
      'gelu: approximate: expected "none" or "tanh", got "tan", did you mean tanh?',
    ],
    [() => x.clamp(null), "BAD_ARGUMENT", "clamp: expected min, max or both"],
    [() => zeros([0, 3]).max(), "SHAPE_MISMATCH", "max: x: expected elements, got shape [0, 3]"],
    [() => zeros([2, 0]).min(1), "SHAPE_MISMATCH", "min: x: expected elements, got shape [2, 0]"],
    [
      () => F.embedding(x, zeros([2 ** 24 + 1, 1])),
      "BAD_ARGUMENT",
      "embedding: table: rows: expected a whole number from 0 to 16777216, got 16777217",
    ],
    [
      () => F.embeddingBag(x, zeros([2 ** 24 + 1, 1])),
      "BAD_ARGUMENT",
      "embeddingBag: table: rows: expected a whole number from 0 to 16777216, got 16777217",
    ],
    [
      () => F.dropout(x, 0.5, { training: false } as never),
      "BAD_ARGUMENT",
      "training: expected true or false, got a value of type Object",
    ],
    [
      () => x.scatter(1, index([0], [1, 1]), 2, "add" as never),
      "BAD_ARGUMENT",
      'scatter: expected x, dim, index and src alone: elements are put, not reduced, got "add"',
    ],
    ...(
      [
        ["add", () => zeros([2 ** 17, 1]).add(zeros([1, 2 ** 16])), "[131072, 65536]"],
        ["lt", () => zeros([2 ** 17, 1]).lt(zeros([1, 2 ** 16])), "[131072, 65536]"],
        ["matmul", () => matmul(zeros([2 ** 17, 1]), zeros([1, 2 ** 16])), "[131072, 65536]"],
        ["linear", () => F.linear(zeros([2 ** 17, 1]), zeros([2 ** 16, 1])), "[131072, 65536]"],
        ["cat", () => cat(Array.from({ length: 2 ** 11 }, () => zeros([2 ** 20]))), "[2147483648]"],
        ["indexSelect", () => zeros([1, 2 ** 16]).indexSelect(0, new Int32Array(2 ** 15)), "[1, 32768, 65536]"],
        ["embedding", () => F.embedding(zeros([2 ** 15]), zeros([1, 2 ** 16])), "[32768, 65536]"],
      ] as [string, () => unknown, string][]
    ).map(([name, call, shape]): [() => unknown, string, string] => [
      call,
      "BAD_ARGUMENT",
      `${name}: expected fewer than 2^31 elements, got ${shape.includes("131072") ? 2 ** 33 : 2 ** 31} of ${shape}`,
    ]),
    [() => x.topk(4), "BAD_ARGUMENT", "topk: k: expected a whole number from 0 to 3, got 4"],
    // biome-ignore lint/suspicious/noSparseArray: what is refused
    [() => x.sum([, 1] as never), "BAD_ARGUMENT", "dim: expected a list of whole numbers, got [, 1]"],
    [() => x.permute([0, 0]), "BAD_ARGUMENT", "permute: dims: expected each axis of [2, 3] once, got [0, 0]"],
    [
      () => zeros([1, 2, 3]).t(),
      "SHAPE_MISMATCH",
      "t: x: expected at most 2 axes, got shape [1, 2, 3]: transpose exchanges any two",
    ],
    [() => x.expand([3, 3]), "SHAPE_MISMATCH", "expand: shape: expected one that [2, 3] broadcasts to, got [3, 3]"],
    [
      () => x.expand([2, Symbol("3") as never]),
      "SHAPE_MISMATCH",
      "expand: shape: expected one that [2, 3] broadcasts to, got [2, Symbol(3)]",
    ],
    [() => cat([x, zeros([2, 2])]), "SHAPE_MISMATCH", "cat: tensors[1]: expected shape [*, 3], got [2, 2]"],
    [() => stack([]), "BAD_ARGUMENT", "stack: tensors: expected a list of tensors, got an empty list"],
    [() => cat([]), "BAD_ARGUMENT", "cat: tensors: expected a list of tensors, got an empty list"],
    [() => stack([zeros([2]), zeros([3])]), "SHAPE_MISMATCH", "stack: tensors[1]: expected shape [2], got [3]"],
    [() => argmax(zeros([2, 0]), 1), "SHAPE_MISMATCH", "argmax: x: expected elements, got shape [2, 0]"],
    [() => argmin(zeros([0])), "SHAPE_MISMATCH", "argmin: x: expected elements, got shape [0]"],
    [
      () => manualSeed(2 ** 53),
      "BAD_ARGUMENT",
      "seed: expected a whole number up to 2^53 - 1, or a BigInt, got 9007199254740992",
    ],
    [() => x.split([1, 2]), "BAD_ARGUMENT", "split: size: expected sizes that add up to 2, got 3"],
    [() => x.slice(0, 2, { step: 0 }), "BAD_ARGUMENT", "slice: step: expected a whole number of at least 1, got 0"],
    [() => x.gather(1, index([0], [1])), "SHAPE_MISMATCH", "gather: index: expected as many axes as [2, 3], got [1]"],
    [
      () => x.gather(1, index([3], [1, 1])),
      "BAD_ARGUMENT",
      "gather: index: expected an index inside of the axis, got 3",
    ],
    [
      () => matmul(x, ones([2, 3])),
      "SHAPE_MISMATCH",
      "matmul: expected shapes [..., m, k] and [..., k, n], got [2, 3] and [2, 3]",
    ],
    [() => x.norm(3), "BAD_ARGUMENT", "norm: p: expected 1, 2 or Infinity, got 3"],
    [
      () => F.mseLoss(x, x, { reduction: "average" as never }),
      "BAD_ARGUMENT",
      'mseLoss: reduction: expected "none" or "mean" or "sum", got "average"',
    ],
    [() => F.klDiv(x, zeros([3])), "SHAPE_MISMATCH", "klDiv: target: expected shape [2, 3], got [3]"],
    [
      () => F.nllLoss(ones([3]), Int32Array.of(0)),
      "BAD_ARGUMENT",
      "nllLoss: input: expected a shape [rows, classes, ...], got [3]",
    ],
    [
      () => F.nllLoss(ones([2, 3, 4]), index([0, 1, 2, 0, 1, 2, 0, 1], [4, 2])),
      "SHAPE_MISMATCH",
      "nllLoss: target: expected shape [2, 4], got [4, 2]",
    ],
    [
      () => F.klDiv(x, x, { reduction: "batchMean" as never }),
      "BAD_ARGUMENT",
      'klDiv: reduction: expected "none" or "mean" or "sum" or "batchmean", got "batchMean", did you mean batchmean?',
    ],
    [() => F.klDiv(x, x, { logTarget: 1 as never }), "BAD_ARGUMENT", "logTarget: expected true or false, got 1"],
    [
      () => F.nllLoss(x, Int32Array.of(0, 1), { ignoreIndex: "x" as never }),
      "BAD_ARGUMENT",
      'nllLoss: ignoreIndex: expected a whole number from -2147483648 to 2147483647, got "x"',
    ],
    [
      () => F.binaryCrossEntropyWithLogits(x, x, { posWeight: 2 as never }),
      "BAD_DTYPE",
      "binaryCrossEntropyWithLogits: posWeight: expected a Tensor, got 2",
    ],
    [
      () => F.binaryCrossEntropyWithLogits(x, x, { weight: 2 as never }),
      "BAD_DTYPE",
      "binaryCrossEntropyWithLogits: weight: expected a Tensor, got 2",
    ],
    [
      () => F.binaryCrossEntropyWithLogits(ones([3]), ones([3]), { weight: ones([3, 1]) }),
      "SHAPE_MISMATCH",
      "binaryCrossEntropyWithLogits: weight, broadcast with input: expected shape [3], got [3, 3]",
    ],
    [
      () => F.binaryCrossEntropyWithLogits(ones([3]), ones([3]), { posWeight: ones([3, 1]) }),
      "SHAPE_MISMATCH",
      "binaryCrossEntropyWithLogits: posWeight, broadcast with input: expected shape [3], got [3, 3]",
    ],
    [
      () => F.crossEntropy(x, Int32Array.of(0, -100), { reduction: "sum" }),
      "LABEL_OUT_OF_RANGE",
      "crossEntropy: labels[1]: expected a class from 0 to 2, got -100",
    ],
    [
      () => F.nllLoss(x, Int32Array.of(0, 1), { weight: ones([2]) }),
      "SHAPE_MISMATCH",
      "nllLoss: weight: expected shape [3], got [2]",
    ],
    [() => norm({ eps: -1 }), "BAD_ARGUMENT", "eps: expected a number of at least 0, got -1"],
    [() => norm({ momentum: 2 }), "BAD_ARGUMENT", "momentum: expected a number from 0 to 1, got 2"],
    [() => norm({ training: undefined }), "BAD_ARGUMENT", "training: expected true or false, got undefined"],
    [() => x.max(1, "yes" as never), "BAD_ARGUMENT", 'max: keepdim: expected true or false, got "yes"'],
    [() => x.argmin(1, 1 as never), "BAD_ARGUMENT", "argmin: keepdim: expected true or false, got 1"],
    [() => x.logsumexp(1, 1 as never), "BAD_ARGUMENT", "logsumexp: keepdim: expected true or false, got 1"],
    [() => x.norm(2, 1, 1 as never), "BAD_ARGUMENT", "norm: keepdim: expected true or false, got 1"],
    [() => x.var(0, { correction: Number.NaN }), "BAD_ARGUMENT", "var: correction: expected a finite number, got NaN"],
    [() => x.std(0, { keepdim: 1 as never }), "BAD_ARGUMENT", "var: keepdim: expected true or false, got 1"],
    [
      () => x.indexSelect(0, index([0, 1, 0, 1], [2, 2])),
      "SHAPE_MISMATCH",
      "indexSelect: index: expected shape [*], got [2, 2]",
    ],
    [() => noGrad(5 as never), "BAD_ARGUMENT", "body: expected a function, got 5"],
    [
      () => F.nllLoss(x, Int32Array.of(0, 3)),
      "LABEL_OUT_OF_RANGE",
      "nllLoss: target[1]: expected a class from 0 to 2, got 3",
    ],
    [
      () => F.oneHot(Int32Array.of(4), 3),
      "LABEL_OUT_OF_RANGE",
      "oneHot: labels[0]: expected a class from 0 to 2, got 4",
    ],
  ])("%s", (call, code, message) => {
    expect(call).toThrow(expect.objectContaining({ code, message }));
  });
});

it("topk gives indices beyond those that single precision holds", () => {
  const long = zeros([2 ** 24 + 2, 1]);
  long.data[2 ** 24 + 1] = 1;
  const { values, indices } = long.topk(1, 0);
  expect([values.shape, values.item(), indices.shape, indices.item()]).toEqual([[1, 1], 1, [1, 1], 2 ** 24 + 1]);
});

it("where keeps its mask for the backward pass", () => {
  const [a, b] = [3, 4].map((value) => tensor([value, value], { requiresGrad: true }));
  const mask = index([1, 0], [2]);
  const y = where(mask, a, b);
  mask.data.fill(0);
  y.sum().backward();
  expect([a.grad?.toArray(), b.grad?.toArray()]).toEqual([
    [1, 0],
    [0, 1],
  ]);
});

it("logsumexp does not overflow, and keeps infinity", () => {
  const values: Tensor = tensor([
    [1000, 1000],
    [-1000, -1000],
    [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
    [Number.POSITIVE_INFINITY, 0],
    [3.3e38, -3.3e38],
  ]);
  const [large, small, none, infinite, largest] = values.logsumexp(1).data;
  expect(large).toBeCloseTo(1000 + Math.LN2, 3);
  expect(small).toBeCloseTo(-1000 + Math.LN2, 3);
  expect([none, infinite]).toEqual([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
  expect(largest).toBe(Math.fround(3.3e38));
});
