import { describe, expect, it } from "vitest";
import { cat, crossEntropy, F, IntTensor, ReLU6, type Tensor, tensor, zeros } from "../../src/index.js";

const INFINITY = Number.POSITIVE_INFINITY;

function gradientOf(values: number[], body: (x: Tensor) => Tensor): [output: unknown, gradient: unknown] {
  const x = tensor(values, { requiresGrad: true });
  const out = body(x);
  out.sum().backward();
  return [out.toArray(), x.grad?.toArray()];
}

it("a tensor without axes is a vector of one value to what takes an axis, as PyTorch's", () => {
  const of = (body: (x: Tensor) => Tensor) => {
    const x = tensor(-2, { requiresGrad: true });
    const out = body(x);
    out.backward();
    return [out.shape, out.item(), x.grad?.shape, x.grad?.item()];
  };
  for (const dim of [0, -1]) {
    expect(of((x) => x.sum(dim))).toEqual([[], -2, [], 1]);
    expect(of((x) => x.mean([dim], true))).toEqual([[], -2, [], 1]);
    expect(of((x) => x.norm(2, dim))).toEqual([[], 2, [], -1]);
    expect(of((x) => x.norm(INFINITY, dim))).toEqual([[], 2, [], -1]);
    expect(of((x) => x.var(dim, { correction: 0 }))).toEqual([[], 0, [], 0]);
    expect(of((x) => x.logsumexp(dim))).toEqual([[], -2, [], 1]);
    expect(of((x) => x.max(dim).values)).toEqual([[], -2, [], 1]);
    expect(of((x) => x.min(dim, true).values)).toEqual([[], -2, [], 1]);
    expect(of((x) => x.topk(1, dim).values)).toEqual([[], -2, [], 1]);
    expect(of((x) => x.topk(1, dim, false).indices.float().add(x))).toEqual([[], -2, [], 1]);
    expect(of((x) => x.softmax(dim))).toEqual([[], 1, [], 0]);
    expect(of((x) => x.logSoftmax(dim))).toEqual([[], 0, [], 0]);
    expect(of((x) => x.cumsum(dim))).toEqual([[], -2, [], 1]);
    expect(of((x) => x.squeeze(dim))).toEqual([[], -2, [], 1]);
    expect(of((x) => x.transpose(0, dim))).toEqual([[], -2, [], 1]);
    const { indices } = tensor(5).max(dim);
    expect([indices, tensor(5).argmin(dim)].map(({ shape, data }) => [shape, ...data])).toEqual([
      [[], 0],
      [[], 0],
    ]);
  }
  expect(of((x) => x.t())).toEqual([[], -2, [], 1]);
  expect(tensor([1, 2]).t().shape).toEqual([2]);
  expect(() => tensor(1).topk(2)).toThrow("topk: k: expected a whole number from 1 to 1, got 2");
  expect(() => tensor(1).sum(1)).toThrow("dim: expected a whole number from -1 to 0, got 1");
  expect(() => tensor(1).sum([0, -1])).toThrow("dim: expected each axis at most once, got [0, -1]");
  expect(() => cat([tensor(1)])).toThrow("dim: expected a tensor with at least one axis, got []");
});

describe("as PyTorch at the edges of single precision", () => {
  it("clamp with one bound keeps infinity, with gradient 1", () => {
    expect(gradientOf([INFINITY, -INFINITY, 0, -1], (x) => x.clamp(0))).toEqual([
      [INFINITY, 0, 0, 0],
      [1, 0, 0, 0],
    ]);
    expect(gradientOf([INFINITY, -INFINITY, 2], (x) => x.clamp(null, 2))).toEqual([
      [2, -INFINITY, 2],
      [0, 1, 0],
    ]);
  });

  it("what is flat, or was not taken, gets the gradient 0 of an infinite one", () => {
    const zero = tensor(0);
    for (const body of [
      (x: Tensor) => x.clamp(0),
      (x: Tensor) => x.maximum(zero),
      (x: Tensor) => zero.maximum(x),
      (x: Tensor) => new ReLU6().forward(x),
    ]) {
      expect(gradientOf([-4, 0.25], (x) => body(x).sqrt())[1]).toEqual([0, 1]);
    }
    expect(gradientOf([4, -0.25], (x) => x.minimum(zero).neg().sqrt())[1]).toEqual([0, -1]);
    expect(gradientOf([-4], (x) => F.hardswish(x).sqrt())[1]).toEqual([0]);
    expect(gradientOf([0, 0], (x) => x.norm().sqrt())).toEqual([0, [0, 0]]);
  });

  it("smoothL1Loss of small differences has a gradient in proportion to them", () => {
    const of = (beta: number) =>
      gradientOf([1e-8, -1e-6, 0, 3, -INFINITY], (x) => F.smoothL1Loss(x, zeros([5]), { beta, reduction: "none" }));
    const [tiny, small] = [1e-8, -1e-6].map(Math.fround);
    expect(of(4)[1]).toEqual([tiny / 4, small / 4, 0, 3 / 4, -1]);
    expect(of(2)[1]).toEqual([tiny / 2, small / 2, 0, 1, -1]);
    expect(gradientOf([0.5, 3, INFINITY], (x) => F.smoothL1Loss(x, zeros([3]), { reduction: "none" }))[0]).toEqual([
      0.125,
      2.5,
      INFINITY,
    ]);
  });

  it("normalize and cosineSimilarity of infinity are NaN and 0", () => {
    expect(F.normalize(tensor([[INFINITY, 1]])).toArray()).toEqual([[Number.NaN, 0]]);
    expect(F.cosineSimilarity(tensor([[INFINITY, 1]]), tensor([[0, 1]])).toArray()).toEqual([Number.NaN]);
  });

  it("the gradient of the largest size is shared by all that have it", () => {
    const of = (values: unknown, dim: number | number[], keepdim = false) => {
      const x = tensor(values as number[][], { requiresGrad: true });
      const out = x.norm(INFINITY, dim, keepdim);
      const places = Array.from({ length: out.size }, (_, i) => i + 1);
      out
        .mul(tensor(places, { shape: out.shape }))
        .sum()
        .backward();
      return [out.toArray(), x.grad?.toArray()];
    };
    const [half, third] = [0.5, Math.fround(1 / 3)];
    const rows = [
      [3, -3, 1],
      [2, 2, 2],
      [0, 0, 0],
    ];
    expect(of(rows, 1)).toEqual([
      [3, 2, 0],
      [
        [half, -half, 0],
        [2 * third, 2 * third, 2 * third],
        [0, 0, 0],
      ],
    ]);
    expect(of(rows, 0, true)).toEqual([
      [[3, 3, 2]],
      [
        [1, -2, 0],
        [0, 0, 3],
        [0, 0, 0],
      ],
    ]);
    expect(of(rows, [0, 1])).toEqual([
      3,
      [
        [half, -half, 0],
        [0, 0, 0],
        [0, 0, 0],
      ],
    ]);
    expect(of([[1, INFINITY, -INFINITY]], 1)).toEqual([[INFINITY], [[0, half, -half]]]);
    const blocks = [
      [
        [1, -1],
        [0, 1],
      ],
      [
        [2, 1],
        [-2, 0],
      ],
    ];
    expect(of(blocks, [1, 2])).toEqual([
      [1, 2],
      [
        [
          [third, -third],
          [0, third],
        ],
        [
          [1, 0],
          [-1, 0],
        ],
      ],
    ]);
    expect(of(blocks, [0, 2], true)).toEqual([
      [[[2], [2]]],
      [
        [
          [0, -0],
          [0, 0],
        ],
        [
          [1, 0],
          [-2, 0],
        ],
      ],
    ]);
  });

  it("cross entropy refuses labels of another shape", () => {
    const labels = new IntTensor(Int32Array.of(0, 1), [1, 2]);
    expect(() => crossEntropy(tensor([[1, 2], [3, 4]]), labels)).toThrow("labels: expected shape [2], got [1, 2]"); // biome-ignore format: rows
  });

  it("a product with a number keeps the sign of zero", () => {
    expect(
      [tensor([-0]).mul(2), tensor([0]).mul(-1), tensor([-0]).mul(1), tensor([-0]).add(0)].map((x) => x.item()),
    ).toEqual([-0, -0, -0, 0]);
    expect(gradientOf([1], (x) => x.mul(-0))).toEqual([[-0], [-0]]);
  });

  it("cat leaves tensors of shape [0] out", () => {
    const [none, x] = [zeros([0]), tensor([[1], [2]], { requiresGrad: true })];
    const out = cat([none, x, none, x], 1);
    out.slice(0, 1).sum().backward();
    expect([out.toArray(), x.grad?.toArray()]).toEqual([
      [
        [1, 1],
        [2, 2],
      ],
      [[2], [0]],
    ]);
    expect(cat([none, none]).shape).toEqual([0]);
  });

  it("below eps a norm's gradient is in that of cosineSimilarity", () => {
    // torch.nn.functional.cosine_similarity(a, b, dim=0, eps=1).backward() of PyTorch 2.15.
    const [, gradient] = gradientOf([0.5, 0.5], (a) => F.cosineSimilarity(a, tensor([1, 0]), { dim: 0, eps: 1 }));
    const [first, second] = gradient as number[];
    expect(first).toBeCloseTo(0.6464466, 6);
    expect(second).toBeCloseTo(-0.3535534, 6);
  });

  it("softplus with beta does not overflow", () => {
    expect(gradientOf([1e38, -1e38], (x) => F.softplus(x, 1e4))).toEqual([
      [Math.fround(1e38), 0],
      [1, 0],
    ]);
  });

  it("nllLoss skips ignored rows whatever their values", () => {
    const of = (labels: number[], reduction: "none" | "mean" | "sum") =>
      gradientOf([-INFINITY, -1, -2, -3], (x) => F.nllLoss(x.reshape([2, 2]), Int32Array.from(labels), { reduction }));
    expect(of([-100, 1], "none")).toEqual([
      [0, 3],
      [0, 0, 0, -1],
    ]);
    expect(of([-100, 1], "mean")).toEqual([3, [0, 0, 0, -1]]);
    expect(of([-100, -100], "sum")).toEqual([0, [0, 0, 0, 0]]);
    expect(of([-100, -100], "mean")).toEqual([Number.NaN, [0, 0, 0, 0]]);
  });
});

describe("what a caller changes after a call does not change its gradient", () => {
  it("the list of cat", () => {
    const [x, y] = [tensor([1], { requiresGrad: true }), tensor([2], { requiresGrad: true })];
    const list = [x, y];
    const out = cat(list)
      .mul(tensor([3, 4]))
      .sum();
    list.reverse();
    out.backward();
    expect([x.grad?.toArray(), y.grad?.toArray()]).toEqual([[3], [4]]);
  });

  it.each([
    ["indexSelect", (x: Tensor, index: IntTensor) => x.indexSelect(0, index)],
    ["gather", (x: Tensor, index: IntTensor) => x.gather(0, index)],
    ["scatter", (x: Tensor, index: IntTensor) => x.scatter(0, index, 0).mul(-1).add(x)],
  ])("the index of %s", (_, body) => {
    const index = new IntTensor(Int32Array.of(1));
    const x = tensor([5, 6, 7], { requiresGrad: true });
    const out = body(x, index).sum();
    index.data[0] = 2;
    out.backward();
    expect(x.grad?.toArray()).toEqual([0, 1, 0]);
  });
});

describe("var and std whose correction leaves nothing to divide by, as in PyTorch 2.15", () => {
  const rows = [
    [1, 2],
    [3, 5],
    [4, 4],
  ];
  const TINY = 1 / 3;
  it.each<
    [op: "var" | "std", x: unknown, dim: number | number[] | undefined, correction: number, y: unknown, grad: unknown]
  >([
    ["var", [3], undefined, 1, NaN, [NaN]],
    ["var", 3, undefined, 2, NaN, NaN],
    ["var", [1, 2, 4], undefined, 3, INFINITY, [INFINITY, INFINITY, INFINITY]],
    ["var", [1, 2, 4], undefined, 5, INFINITY, [INFINITY, INFINITY, INFINITY]],
    ["var", [1, 2, 3], undefined, 3, INFINITY, [INFINITY, NaN, INFINITY]],
    ["var", [2, 2], undefined, 2, NaN, [NaN, NaN]],
    ["var", [1, INFINITY], undefined, 2, NaN, [INFINITY, NaN]],
    ["var", [NaN, 1, 2], undefined, 3, NaN, [INFINITY, INFINITY, INFINITY]],
    [
      "var",
      rows,
      1,
      2,
      [INFINITY, INFINITY, NaN],
      [
        [-INFINITY, INFINITY],
        [-INFINITY, INFINITY],
        [NaN, NaN],
      ],
    ],
    [
      "var",
      rows,
      1,
      3,
      [INFINITY, INFINITY, NaN],
      [
        [1, -1],
        [4, -4],
        [-0, -0],
      ],
    ],
    [
      "var",
      rows,
      1,
      5,
      [INFINITY, INFINITY, NaN],
      [
        [TINY, -TINY],
        [4 * TINY, -4 * TINY],
        [-0, -0],
      ],
    ],
    [
      "var",
      rows,
      [0, 1],
      6,
      INFINITY,
      [
        [-INFINITY, -INFINITY],
        [-INFINITY, INFINITY],
        [INFINITY, INFINITY],
      ],
    ],
    ["std", [1, 2, 4], undefined, 3, INFINITY, [NaN, NaN, NaN]],
    ["std", [2, 2], undefined, 3, NaN, [NaN, NaN]],
    [
      "std",
      rows,
      1,
      2,
      [INFINITY, INFINITY, NaN],
      [
        [NaN, NaN],
        [NaN, NaN],
        [NaN, NaN],
      ],
    ],
    [
      "std",
      rows,
      1,
      3,
      [INFINITY, INFINITY, NaN],
      [
        [0, -0],
        [0, -0],
        [NaN, NaN],
      ],
    ],
  ])("%s of %j along %j less %d", (op, values, dim, correction, y, grad) => {
    for (const keepdim of [false, true]) {
      const x = tensor(values as number[], { requiresGrad: true });
      const out = x[op](dim, { correction, keepdim });
      expect(keepdim ? out.flatten().toArray() : out.toArray()).toEqual(keepdim ? [y].flat() : y);
      // Rows count 1, 2, 3, as in the lines of PyTorch's.
      out
        .mul(tensor(Float32Array.from({ length: out.size }, (_, i) => i + 1)).reshape(out.shape))
        .sum()
        .backward();
      expect(flat(x.grad?.toArray()).map((g) => g + 0)).toEqual(flat(grad).map((g) => Math.fround(g) + 0));
    }
  });
});

const flat = (values: unknown) => [values].flat(2) as number[];

describe("arguments that are not of the kind expected are refused", () => {
  const x = zeros([2, 3]);
  it.each<[call: () => unknown, message: string]>([
    [() => x.sum("0" as never), 'dim: expected a list of whole numbers, got "0"'],
    [() => x.sum(null as never), "dim: expected a list of whole numbers, got null"],
    [() => x.mean({ dim: 1 } as never), "dim: expected a list of whole numbers, got a value of type Object"],
    [() => x.sum([0, -2]), "dim: expected each axis at most once, got [0, -2]"],
    [() => x.flatten(1, 0), "flatten: endDim: expected an axis from startDim on, got 0"],
    [() => x.expand("2" as never), 'expand: shape: expected a list of whole numbers, got "2"'],
    [() => x.expand(null as never), "expand: shape: expected a list of whole numbers, got null"],
    [
      () => (x.expand as unknown as (...lengths: number[]) => Tensor)(4, 2, 3),
      "expand: shape: expected a list of whole numbers",
    ],
    [() => F.cosineSimilarity(x, x, { eps: -1 }), "cosineSimilarity: eps: expected a number of at least 0, got -1"],
    [
      () => F.cosineSimilarity(x, x, { eps: Number.NaN }),
      "cosineSimilarity: eps: expected a number of at least 0, got NaN",
    ],
    [() => zeros([1, 1]).expand([2 ** 31, 2 ** 20]), "expand: shape: expected fewer than 2^31 elements"],
    [() => x.permute(null as never), "permute: dims: expected a list of whole numbers, got null"],
    [() => x.split("2" as never), 'split: size: expected a list of whole numbers, got "2"'],
    [() => x.slice(0, 1, null as never), "slice: expected options by their names, got null"],
    [() => F.oneHot(Int32Array.of(2 ** 30, 1, 2)), "oneHot: expected fewer than 2^31 elements"],
    [() => F.oneHot(Int32Array.of(0), -3), "oneHot: numClasses: expected a whole number from 1"],
  ])("%s", (call, message) => {
    expect(call).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT", message: expect.stringContaining(message) }));
  });
});
