import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { load, save } from "../../src/checkpoint/index.js";
import { BatchNorm1d, IntTensor, Linear, LongTensor, manualSeed, Sequential, Tensor } from "../../src/index.js";
import { temporaryFolder } from "./support.js";

/** A Python with PyTorch, such as `python3`; without it these tests are left out. */
const python = process.env.DISTILLERY_PYTHON ?? "";

const run = (code: string, ...args: string[]): unknown =>
  JSON.parse(execFileSync(python, ["-W", "error", "-c", code, ...args], { encoding: "utf8" }));

describe.runIf(python !== "")("in the real PyTorch", () => {
  const folder = temporaryFolder();

  test("torch.load(weights_only=True) and load_state_dict(strict=True) take what save wrote", async () => {
    manualSeed(0);
    const network = new Sequential(new Linear(3, 4), new BatchNorm1d(4));
    const file = join(folder, "network.pth");
    await save(network.stateDict(), file);
    const code = `
import sys, json, torch
state = torch.load(sys.argv[1], weights_only=True)
net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
net.load_state_dict(state, strict=True)
x = torch.arange(6.0).reshape(2, 3) / 10
print(json.dumps([type(state).__name__, net.eval()(x).tolist(), [str(v.dtype) for v in state.values()]]))`;
    const [type, outputs, dtypes] = run(code, file) as [string, number[][], string[]];
    const ours = network.eval().forward(
      new Tensor(
        new Float32Array(6).map((_, i) => i / 10),
        [2, 3],
      ),
    );
    expect(type).toBe("OrderedDict");
    expect(dtypes).toEqual([...Array(6).fill("torch.float32"), "torch.int64"]);
    expect(outputs.flat()).toEqual(Array.from(ours.data, (x) => expect.closeTo(x, 6)));
  });

  test("every type and shape arrives as it was", async () => {
    const file = join(folder, "types.pth");
    const large = new Float32Array(70_000).map((_, i) => i);
    await save(
      {
        späße: new Tensor(Float32Array.of(7), []),
        empty: new Tensor(new Float32Array(0), [0, 3]),
        deep: new IntTensor(Int32Array.of(1, -2, 3, -4), [1, 2, 1, 2]),
        long: new LongTensor(BigInt64Array.of(2n ** 62n, -1n), [2]),
        large: new Tensor(large, [70_000]),
      },
      file,
    );
    const code = `
import sys, json, torch
for options in ({}, {"mmap": True}):
    state = torch.load(sys.argv[1], weights_only=True, **options)
print(json.dumps({k: [str(v.dtype), list(v.shape), v.contiguous().flatten()[:4].tolist(), v.double().sum().item()] for k, v in state.items()}))`;
    expect(run(code, file)).toEqual({
      späße: ["torch.float32", [], [7], 7],
      empty: ["torch.float32", [0, 3], [], 0],
      deep: ["torch.int32", [1, 2, 1, 2], [1, -2, 3, -4], -2],
      long: ["torch.int64", [2], [2 ** 62, -1], 2 ** 62],
      large: ["torch.float32", [70_000], [0, 1, 2, 3], (70_000 * 69_999) / 2],
    });
  });

  test("more tensors than one batch of the pickle, and an empty state dict", async () => {
    const many = Array.from({ length: 2100 }, (_, i) => [`layer.${i}`, new Tensor(Float32Array.of(i), [1])]);
    const [file, empty] = [join(folder, "many.pth"), join(folder, "empty.pth")];
    await save(Object.fromEntries(many), file);
    await save({}, empty);
    const code = `
import sys, json, torch
many, empty = (torch.load(name, weights_only=True) for name in sys.argv[1:])
print(json.dumps([len(many), many["layer.2099"].item(), list(many) == [f"layer.{i}" for i in range(2100)], len(empty)]))`;
    expect(run(code, file, empty)).toEqual([2100, 2099, true, 0]);
  });

  test("what PyTorch saves now, load reads", async () => {
    const file = join(folder, "theirs.pth");
    const code = `
import sys, json, torch
net = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2, bias=False))
net(torch.randn(4, 5))
torch.save(net.state_dict(), sys.argv[1])
print(json.dumps({k: v.tolist() for k, v in net.state_dict().items()}))`;
    writeFileSync(file, "");
    const expected = run(code, file) as Record<string, unknown>;
    const state = await load(file);
    const got = Object.fromEntries(Object.entries(state).map(([k, v]) => [k, v.shape.length ? v.toArray() : v.item()]));
    expect(got).toEqual(expected);
  });
});
