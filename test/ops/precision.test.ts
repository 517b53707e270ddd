import { describe, expect, test } from "vitest";
import { FrozenModel } from "../../src/graph/index.js";
import {
  BatchNorm1d,
  createNetwork,
  Dropout,
  F,
  Generator,
  Linear,
  type Module,
  MultiheadAttention,
  noGrad,
  ReLU,
  randn,
  Sequential,
  type Tensor,
  tensor,
  withGenerator,
  withPrecision,
} from "../../src/index.js";
import { matmulInPrecision } from "../../src/ops/matmul.js";
import { refusal } from "../data/support.js";

/** A number as bfloat16 has it: the upper 16 bits, rounded to the nearest even. */
function rounded(x: number): number {
  const bits = new Uint32Array(Float32Array.of(x).buffer);
  bits[0] = ((bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) >>> 16) << 16;
  return new Float32Array(bits.buffer)[0];
}

/** a [m, k] times b [k, n] of rounded elements, by functions of their indices. */
function product(
  m: number,
  k: number,
  n: number,
  a: (i: number, p: number) => number,
  b: (p: number, j: number) => number,
) {
  return Array.from({ length: m * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    return Array.from({ length: k }, (_, p) => rounded(a(i, p)) * rounded(b(p, j))).reduce((sum, x) => sum + x, 0);
  });
}

function expectClose(got: ArrayLike<number>, want: readonly number[]): void {
  expect(got.length).toBe(want.length);
  for (const [i, x] of want.entries()) expect(Math.abs(got[i] - x)).toBeLessThan(1e-5 * Math.max(1, Math.abs(x)));
}

test("a linear layer's three products are those of rounded operands, its bias and its sums float32", () => {
  const [rows, inputs, outputs] = [7, 65, 33];
  const generator = new Generator(1);
  const [x, weight, bias, grad] = withGenerator(generator, () => [
    randn([rows, inputs], { requiresGrad: true }),
    randn([outputs, inputs], { requiresGrad: true }),
    randn([outputs], { requiresGrad: true }),
    randn([rows, outputs]),
  ]);
  const y = withPrecision("bfloat16", () => F.linear(x, weight, bias));
  // In the same precision, although it runs outside.
  y.mul(grad).sum().backward();
  const at =
    ({ data }: Tensor, columns: number) =>
    (i: number, j: number) =>
      data[i * columns + j];
  const [ofX, ofWeight, ofGrad] = [at(x, inputs), at(weight, inputs), at(grad, outputs)];
  const products = product(rows, inputs, outputs, ofX, (p, j) => ofWeight(j, p));
  expectClose(
    y.data,
    products.map((sum, i) => sum + bias.data[i % outputs]),
  );
  expectClose((x.grad as Tensor).data, product(rows, outputs, inputs, ofGrad, ofWeight));
  expectClose(
    (weight.grad as Tensor).data,
    product(outputs, rows, inputs, (i, p) => ofGrad(p, i), ofX),
  );
});

const layers = (p: number | null): Module[] => [
  new Linear(20, 40),
  new BatchNorm1d(40),
  new ReLU(),
  ...(p === null ? [] : [new Dropout(p)]),
  new Linear(40, 5),
];

describe.each([[null], [0], [0.3]])("a chain with dropout %s", (p) => {
  const make = () => withGenerator(new Generator(2), () => new Sequential(...layers(p)));
  const inputs = withGenerator(new Generator(3), () => randn([24, 20]));
  test.each([[false], [true]])("frozen, training %s: the bits of forward", (training) => {
    const [live, source] = [make(), make()];
    const frozen = withPrecision("bfloat16", () => FrozenModel.from(source, [20], { training }));
    expect(frozen.precision).toBe("bfloat16");
    live.train(training);
    for (let i = 0; i < 3; i++) {
      const want = withGenerator(new Generator(5), () => withPrecision("bfloat16", () => live.forward(inputs).data));
      expect(frozen.take(inputs, new Generator(5)).output.data).toEqual(want);
    }
    frozen.release();
  });
});

test("the precision is the caller's again afterwards", () => {
  const [x, weight] = withGenerator(new Generator(6), () => [randn([3, 9]), randn([2, 9])]);
  const exact = F.linear(x, weight).data;
  expect(() =>
    withPrecision("bfloat16", () => {
      throw new RangeError("own");
    }),
  ).toThrow("own");
  expect(F.linear(x, weight).data).toEqual(exact);
  const inner = withPrecision("bfloat16", () => withPrecision("float32", () => F.linear(x, weight).data));
  expect(inner).toEqual(exact);
  expect(withPrecision("bfloat16", () => F.linear(x, weight).data)).not.toEqual(exact);
});

test("an async body is refused: it would go on in the precision from before", async () => {
  expect(await refusal("BAD_ARGUMENT", () => withPrecision("bfloat16", async () => 1))).toBe(
    "body: expected a function that is not async: await outside of withPrecision, which ends at the first await",
  );
});

test("a call without a body is refused", async () => {
  expect(await refusal("BAD_ARGUMENT", () => withPrecision("bfloat16", undefined as never))).toBe(
    "body: expected a function, got undefined",
  );
});

test("another precision is refused with the nearest name", async () => {
  expect(await refusal("BAD_ARGUMENT", () => withPrecision("bfloat61" as "bfloat16", () => 1))).toBe(
    'precision: expected "float32" or "bfloat16", got "bfloat61", did you mean bfloat16?',
  );
});

test.each([1, 2])("a convolution of stride %i in bfloat16: rounded operands, in its gradients too", (stride) => {
  const generator = new Generator(7);
  const [x, weight, bias] = withGenerator(generator, () => [
    randn([3, 5, 9, 16], { requiresGrad: true }),
    randn([7, 5, 3, 3], { requiresGrad: true }),
    randn([7]),
  ]);
  const of = (x: Tensor, weight: Tensor) => F.conv2d(x, weight, bias, { stride, padding: 1 });
  const leafOf = (one: Tensor) => {
    const leaf = one.detach();
    leaf.requiresGrad = true;
    return leaf;
  };
  const roundedTensor = ({ data, shape }: Tensor) => tensor(data.map(rounded)).reshape(shape);
  const y = withPrecision("bfloat16", () => of(x, weight));
  const grad = withGenerator(generator, () => randn(y.shape));
  y.mul(grad).sum().backward();
  expectClose(y.data, [...of(roundedTensor(x), roundedTensor(weight)).data]);
  const [ofRounded, other] = [leafOf(roundedTensor(x)), leafOf(roundedTensor(weight))];
  of(ofRounded, other).mul(roundedTensor(grad)).sum().backward();
  expectClose((x.grad as Tensor).data, [...(ofRounded.grad as Tensor).data]);
  expectClose((weight.grad as Tensor).data, [...(other.grad as Tensor).data]);
});

test("attention's products in bfloat16 are those of rounded operands, in their gradients too", () => {
  const generator = new Generator(9);
  const [a, b, grad] = withGenerator(generator, () => [
    randn([2, 3, 5, 9], { requiresGrad: true }),
    randn([2, 3, 9, 7], { requiresGrad: true }),
    randn([2, 3, 5, 7]),
  ]);
  const asBfloat16 = ({ data, shape }: Tensor) => tensor(data.map(rounded)).reshape(shape);
  const y = withPrecision("bfloat16", () => matmulInPrecision(a, b));
  y.mul(grad).sum().backward();
  const [left, right, upstream] = [a, b, grad].map(asBfloat16);
  expectClose(y.data, [...left.matmul(right).data]);
  expectClose((a.grad as Tensor).data, [...upstream.matmul(right.transpose(-1, -2)).data]);
  expectClose((b.grad as Tensor).data, [...left.transpose(-1, -2).matmul(upstream).data]);
  expect(matmulInPrecision(a, b).data).toEqual(a.matmul(b).data);
  expect(withPrecision("bfloat16", () => a.matmul(b).data)).toEqual(a.matmul(b).data);
});

test("attention in bfloat16 rounds queries, keys, weights and values; frozen it has the bits of forward", () => {
  const attention = withGenerator(new Generator(10), () => new MultiheadAttention(8, 2, { batchFirst: true })).eval();
  const x = withGenerator(new Generator(11), () => randn([3, 5, 8]));
  const asBfloat16 = ({ data, shape }: Tensor) => tensor(data.map(rounded)).reshape(shape);
  const inBfloat16 = <T>(body: () => T) => noGrad(() => withPrecision("bfloat16", body));
  const got = inBfloat16(() => attention.forward(x));
  const { in_proj_weight: weight, in_proj_bias: bias, out_proj: last } = attention;
  const parts = inBfloat16(() => F.linear(x, weight as Tensor, bias)).reshape([3, 5, 3, 2, 4]);
  const [q, k, v] = [0, 1, 2].map((i) =>
    parts
      .slice(i, i + 1, { dim: 2 })
      .reshape([3, 5, 2, 4])
      .permute([0, 2, 1, 3]),
  );
  const scores = asBfloat16(q.mul(0.5)).matmul(asBfloat16(k).transpose(-1, -2));
  const mixed = asBfloat16(scores.softmax()).matmul(asBfloat16(v)).permute([0, 2, 1, 3]).reshape([3, 5, 8]);
  expectClose(got.data, [...inBfloat16(() => last.forward(mixed)).data]);
  const frozen = inBfloat16(() => FrozenModel.from(attention, [5, 8], { training: false }));
  expect(frozen.take(x, new Generator(12)).output.data).toEqual(got.data);
  frozen.release();
});

test("a frozen convolutional network in bfloat16 has the bits of forward", () => {
  const network = createNetwork("resnet8", { shape: [3, 16, 16], classes: 4 }).eval();
  const inputs = withGenerator(new Generator(8), () => randn([6, 3, 16, 16]));
  const frozen = withPrecision("bfloat16", () => FrozenModel.from(network, [3, 16, 16], { training: false }));
  const want = withPrecision("bfloat16", () => noGrad(() => network.forward(inputs).data));
  expect(frozen.take(inputs, new Generator(8)).output.data).toEqual(want);
  expect(want).not.toEqual(noGrad(() => network.forward(inputs).data));
  frozen.release();
});
