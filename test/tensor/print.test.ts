import { format, inspect } from "node:util";
import { expect, test } from "vitest";
import { IntTensor, Linear, LongTensor, manualSeed, Parameter, step, Tensor, tensor, zeros } from "../../src/index.js";

const counted = (n: number, divisor: number, shape: number[]) =>
  new Tensor(
    Float32Array.from({ length: n }, (_, i) => i / divisor),
    shape,
  );

// The values are as PyTorch 2.15 prints them.
test.each<[tensor: { toString(): string }, text: string]>([
  [tensor(3.5), "tensor(3.5000, shape=[], dtype=float32)"],
  [tensor([1, 2, -3]), "tensor([ 1.,  2., -3.], shape=[3], dtype=float32)"],
  [tensor([1e-5, 1]), "tensor([1.0000e-05, 1.0000e+00], shape=[2], dtype=float32)"],
  [tensor([-Infinity, Number.NaN, 1]), "tensor([-inf,  nan,   1.], shape=[3], dtype=float32)"],
  [zeros([0, 3]), "tensor([], shape=[0, 3], dtype=float32)"],
  [zeros([2 ** 31 - 1, 0]), "tensor([], shape=[2147483647, 0], dtype=float32)"],
  [tensor([-0, 1e-5]), "tensor([-0.0000e+00,  1.0000e-05], shape=[2], dtype=float32)"],
  [
    tensor([
      [1, 2.5],
      [3, 4],
    ]),
    "tensor([[1.0000, 2.5000],\n        [3.0000, 4.0000]], shape=[2, 2], dtype=float32)",
  ],
  [
    counted(8, 1, [2, 2, 2]),
    "tensor([[[0., 1.],\n         [2., 3.]],\n\n        [[4., 5.],\n         [6., 7.]]], shape=[2, 2, 2], dtype=float32)",
  ],
  [
    counted(12, 8, [12]),
    "tensor([0.0000, 0.1250, 0.2500, 0.3750, 0.5000, 0.6250, 0.7500, 0.8750, 1.0000,\n        1.1250, 1.2500, 1.3750], shape=[12], dtype=float32)",
  ],
  [
    counted(20, 8, [2, 10]),
    [
      "tensor([[0.0000, 0.1250, 0.2500, 0.3750, 0.5000, 0.6250, 0.7500, 0.8750, 1.0000,",
      "         1.1250],",
      "        [1.2500, 1.3750, 1.5000, 1.6250, 1.7500, 1.8750, 2.0000, 2.1250, 2.2500,",
      "         2.3750]], shape=[2, 10], dtype=float32)",
    ].join("\n"),
  ],
  [tensor([1, 2000.5]), "tensor([1.0000e+00, 2.0005e+03], shape=[2], dtype=float32)"],
  [tensor([1, 999.5]), "tensor([  1.0000, 999.5000], shape=[2], dtype=float32)"],
  [
    new IntTensor(
      Int32Array.from({ length: 7000 }, (_, i) => i),
      [7, 1000],
    ),
    [
      "tensor([[   0,    1,    2, ...,  997,  998,  999],",
      "        [1000, 1001, 1002, ..., 1997, 1998, 1999],",
      "        [2000, 2001, 2002, ..., 2997, 2998, 2999],",
      "        ...,",
      "        [4000, 4001, 4002, ..., 4997, 4998, 4999],",
      "        [5000, 5001, 5002, ..., 5997, 5998, 5999],",
      "        [6000, 6001, 6002, ..., 6997, 6998, 6999]], shape=[7, 1000], dtype=int32)",
    ].join("\n"),
  ],
  [
    new IntTensor(Int32Array.of(1, -20, 3, 4), [2, 2]),
    "tensor([[  1, -20],\n        [  3,   4]], shape=[2, 2], dtype=int32)",
  ],
  [new LongTensor(BigInt64Array.of(7n), []), "tensor(7, shape=[], dtype=int64)"],
  [
    new LongTensor(BigInt64Array.of(2n ** 53n + 1n, -1n)),
    "tensor([9007199254740993,               -1], shape=[2], dtype=int64)",
  ],
  [new Parameter(Float32Array.of(0.5)), "tensor([0.5000], shape=[1], dtype=float32, requiresGrad=true)"],
])("a tensor prints its values, shape and type %#", (value, text) => {
  expect(inspect(value)).toBe(text);
  expect(String(value)).toBe(inspect(value));
});

test("1000 numbers are all shown, one more is shortened", () => {
  expect(String(zeros([1000]))).not.toContain("...");
  expect(String(zeros([1001]))).toContain("..., ");
});

test("what is inside of other objects, and what can't be read any more", () => {
  manualSeed(0);
  expect(inspect({ loss: tensor([1]), labels: new IntTensor(Int32Array.of(2)) })).toBe(
    "{\n  loss: tensor([1.], shape=[1], dtype=float32),\n  labels: tensor([2], shape=[1], dtype=int32)\n}",
  );
  let kept = tensor([0]);
  step(() => {
    kept = tensor([1, 2]).mul(2);
  });
  expect(inspect(kept)).toBe("tensor(of a step that ended, shape=[2], dtype=float32)");
  expect(inspect(new Linear(3, 2))).toBe("Linear(in_features=3, out_features=2, bias=True)\n8 parameters");
});

test("a tensor is no number, and template literals print it", () => {
  const loss = tensor(0.5);
  expect(`${loss} ${[loss].join()}`).toBe(
    "tensor(0.5000, shape=[], dtype=float32) tensor(0.5000, shape=[], dtype=float32)",
  );
  for (const x of [
    loss,
    new IntTensor(Int32Array.of(1)),
    new LongTensor(BigInt64Array.of(1n)),
  ] as unknown[] as number[]) {
    for (const use of [() => 0.5 * x, () => x < 1, () => Math.max(x, 0), () => x / 2, () => 0 + x, () => Number(x)]) {
      expect(use).toThrow(
        expect.objectContaining({ code: "BAD_ARGUMENT", message: expect.stringContaining("item()") }),
      );
    }
  }
  expect(format("%s %o %j", loss, [loss], { a: 1 })).toBe(
    'tensor(0.5000, shape=[], dtype=float32) [ tensor(0.5000, shape=[], dtype=float32), [length]: 1 ] {"a":1}',
  );
  expect(() => expect(loss).toEqual(tensor(1))).toThrow("tensor(0.5000, shape=[], dtype=float32)");
});
