import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { inspectCheckpoint, load } from "../../src/checkpoint/index.js";
import { LongTensor, Tensor } from "../../src/index.js";
import { failure } from "../support.js";
import { fixture } from "./support.js";

const loose = { allowNonFinite: true };
const numbers = async (name: string) =>
  Object.fromEntries(Object.entries(await load(fixture(name), loose)).map(([key, tensor]) => [key, tensor.toArray()]));

test("a state_dict: OrderedDict, _metadata, BatchNorm's int64 counter", async () => {
  const state = await load(fixture("state_dict.pth"));
  expect(Object.keys(state)).toEqual([
    "0.weight",
    "0.bias",
    "1.weight",
    "1.bias",
    "1.running_mean",
    "1.running_var",
    "1.num_batches_tracked",
  ]);
  expect(state["0.weight"]?.shape).toEqual([3, 2]);
  // torch.manual_seed(0); torch.nn.Linear(2, 3).weight
  expect(Array.from(state["0.weight"]?.data as Float32Array)).toEqual(
    [-0.005294, 0.3793229, -0.5819808, -0.5203875, -0.2723452, 0.1896159].map((x) => expect.closeTo(x, 5)),
  );
  expect(state["1.num_batches_tracked"]).toBeInstanceOf(LongTensor);
  expect(state["1.num_batches_tracked"]?.item()).toBe(0);
});

test("a plain dict, an empty OrderedDict, tensors without elements and without axes", async () => {
  expect(await numbers("plain_dict.pth")).toEqual({ a: [1.5, 2.5] });
  expect(await numbers("empty.pth")).toEqual({});
  const state = await load(fixture("zero_size.pth"));
  expect(state.none?.shape).toEqual([0, 3]);
  expect(state.scalar?.toArray()).toBe(9);
});

test("views with strides and offsets of one shared storage", async () => {
  expect(await numbers("strided.pth")).toEqual({
    transposed: [
      [0, 4, 8],
      [1, 5, 9],
      [2, 6, 10],
      [3, 7, 11],
    ],
    columns: [
      [1, 2],
      [5, 6],
      [9, 10],
    ],
    row: [4, 5, 6, 7],
    flat: [
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9, 10, 11],
    ],
    step: [
      [0, 3],
      [8, 11],
    ],
  });
  const { row, flat } = await load(fixture("strided.pth"));
  expect(row?.data.buffer).toBe(flat?.data.buffer);
});

test("half, bfloat16 and double become float32, and inspect names the type in the file", async () => {
  const infinities = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const half = [0, -0, 1, -2.5, 65504, 2 ** -24, 168 * 2 ** -24, ...infinities];
  expect(await numbers("half.pth")).toEqual({ x: half });
  const bfloat16 = [0, -0, 1, -2.5, 65536, 129 * 2 ** -31, 168 * 2 ** -24, ...infinities];
  expect(await numbers("bfloat16.pth")).toEqual({ x: bfloat16 });
  expect(await numbers("double.pth")).toEqual({ x: [Math.fround(0.1), Number.POSITIVE_INFINITY, -0] });
  for (const dtype of ["half", "bfloat16", "double"]) {
    expect((await load(fixture(`${dtype}.pth`), loose)).x).toBeInstanceOf(Tensor);
  }
  expect((await inspectCheckpoint(fixture("half.pth"))).tensors).toEqual([{ key: "x", dtype: "float16", shape: [9] }]);
});

test("int64 and int32 stay what they are", async () => {
  const { long, int } = await load(fixture("integers.pth"));
  expect(long?.data).toEqual(BigInt64Array.of(2n ** 62n, -1n));
  expect(int).toMatchObject({ dtype: "int32", shape: [2, 1], data: Int32Array.of(7, -8) });
});

test("a Parameter is read as its tensor", async () => {
  expect(await numbers("parameter.pth")).toEqual({ w: [[3, 4]] });
});

test.each([
  ["tensor.pth", /holds a tensor; only plain dictionaries of tensors are read/],
  [
    "module.pth",
    /a whole network.* torch\.save\(torch\.load\(".*module\.pth", weights_only=False\)\.state_dict\(\), "weights\.pth"\)/,
  ],
  ["complex.pth", /"torch\.ComplexFloatStorage": elements of this type are not read, only FloatStorage/],
  ["expanded.pth", /"x" is an expanded view: write tensor\.clone\(\)/],
  ["protocol4.pth", /pickle protocol 4: only 2 is read/],
  ["script.pth", /a TorchScript program: in PyTorch, torch\.save\(torch\.jit\.load\(".*script\.pth"\)\.state_dict\(\)/],
])("%s is refused with what to do", async (name, reason) => {
  const { message } = await failure(load(fixture(name)), "BAD_CHECKPOINT");
  expect(message).toMatch(reason);
  expect(message).toContain(name);
});

test("a pickle that calls os.system is refused by name and place, and nothing is run", async () => {
  const { message } = await failure(load(fixture("hostile.pth")), "BAD_CHECKPOINT");
  expect(message).toMatch(/data\.pkl at byte \d+ \(GLOBAL\): GLOBAL "posix\.system" is not allowed/);
  expect(existsSync("pwned.txt")).toBe(false);
});
