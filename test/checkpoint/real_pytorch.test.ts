import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { load, loadCheckpoint, save, saveCheckpoint } from "../../src/checkpoint/index.js";
import {
  BatchNorm1d,
  type CheckpointDict,
  IntTensor,
  Linear,
  LongTensor,
  manualSeed,
  noGrad,
  randn,
  Sequential,
  type StateDict,
  StudentNet,
  TeacherNet,
  Tensor,
} from "../../src/index.js";
import { describeWith, PYTORCH } from "../helpers/needs.js";
import { runPython as run } from "../helpers/python.js";
import { expectClose } from "../parity/close.js";
import { temporaryFolder } from "../support.js";

describeWith(PYTORCH, "in the real PyTorch", () => {
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
    const [type, outputs, dtypes] = (await run(code, file)) as [string, number[][], string[]];
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
    expect(await run(code, file)).toEqual({
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
    expect(await run(code, file, empty)).toEqual([2100, 2099, true, 0]);
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
    const expected = (await run(code, file)) as Record<string, unknown>;
    const state = await load(file);
    const got = Object.fromEntries(Object.entries(state).map(([k, v]) => [k, v.shape.length ? v.toArray() : v.item()]));
    expect(got).toEqual(expected);
  });

  test("what trainers keep beside the weights: narrow tensors, NumPy's numbers, objects", async () => {
    const file = join(folder, "kept.pth");
    const code = `
import sys, json, argparse, numpy as np, torch
net = torch.nn.Linear(2, 1)
net.register_buffer("mask", torch.tensor([True, False]))
beside = {"best": np.float64(0.25), "hits": np.int64(3), "bytes": torch.arange(250, 254, dtype=torch.uint8)}
torch.save({"model": net.state_dict(), **beside}, sys.argv[1])
torch.save({"model": net.state_dict(), **beside, "args": argparse.Namespace(lr=0.1)}, sys.argv[1] + "2")
print(json.dumps(net.weight.tolist()))`;
    const weight = await run(code, file);
    const { model, ...beside } = (await loadCheckpoint(file)) as CheckpointDict;
    expect(beside).toEqual({ best: 0.25, hits: 3, bytes: new IntTensor(Int32Array.of(250, 251, 252, 253)) });
    const notes: string[] = [];
    for (const state of [
      model as StateDict,
      await load(file, { key: "model" }),
      await load(`${file}2`, { key: "model", onNote: (text) => notes.push(text) }),
    ]) {
      expect(state.weight?.toArray()).toEqual(weight);
      expect(state.mask).toEqual(new IntTensor(Int32Array.of(1, 0)));
    }
    expect(notes).toEqual([`${file}2: left out "args" (a value of "argparse.Namespace")`]);
  });

  test("every plain value arrives in Python's type, weights_only", async () => {
    const file = join(folder, "values.pth");
    const big = 2n ** 62n;
    const value = {
      scalars: [null, true, false, 3, -70_000, 2 ** 40, -big, 0.5, Number.NaN, -0, "späße"],
      tuple: Object.freeze([1, Object.freeze([]), [2]]),
      numbers: new Map([[0, { a: new Map([[-1, "x"]]) }]]),
      long: Array.from({ length: 2100 }, (_, i) => i),
      empty: [{}, [], Object.freeze([])],
      t: new Tensor(Float32Array.of(1, 2), [2, 1]),
    };
    await saveCheckpoint(value, file);
    const code = `
import sys, json, torch
value = torch.load(sys.argv[1], weights_only=True)
t = value.pop("t")
long = value.pop("long")
print(json.dumps([repr(value), t.tolist(), str(t.dtype), long == list(range(2100)), type(value).__name__]))`;
    const scalars = "[None, True, False, 3, -70000, 1099511627776, -4611686018427387904, 0.5, nan, -0.0, 'späße']";
    const rest = "'tuple': (1, (), [2]), 'numbers': {0: {'a': {-1: 'x'}}}, 'empty': [{}, [], ()]";
    expect(await run(code, file)).toEqual([
      `{'scalars': ${scalars}, ${rest}}`,
      [[1], [2]],
      "torch.float32",
      true,
      "dict",
    ]);
    const again = join(folder, "again.pth");
    await run("import sys, torch; torch.save(torch.load(sys.argv[1]), sys.argv[2]); print(0)", file, again);
    expect(await loadCheckpoint(again, { allowNonFinite: true })).toEqual(value);
  });

  test("teacher and student, both ways: strict, and the same logits", async () => {
    manualSeed(3);
    const sizes = { inFeatures: 20, classes: 4 };
    const ours = {
      teacher: new TeacherNet({ ...sizes, hidden: [16, 12, 8] }).eval(),
      student: new StudentNet({ ...sizes, hidden: [8, 6] }),
    };
    // Statistics that are not those of a new network.
    ours.teacher.train().forward(randn([32, 20]));
    ours.teacher.eval();
    const [file, back] = [join(folder, "ours.pth"), join(folder, "theirs.pth")];
    await saveCheckpoint({ teacher: ours.teacher.stateDict(), student: ours.student.stateDict() }, file);
    const x = randn([5, 20]);
    const code = `
import sys, json, torch
class Net(torch.nn.Module):
    def __init__(self, sizes, norm):
        super().__init__()
        self.depth = len(sizes) - 1
        for i in range(self.depth):
            setattr(self, f"fc{i + 1}", torch.nn.Linear(sizes[i], sizes[i + 1]))
            if norm and i + 1 < self.depth:
                setattr(self, f"bn{i + 1}", torch.nn.BatchNorm1d(sizes[i + 1]))
    def forward(self, x):
        for i in range(1, self.depth):
            x = getattr(self, f"bn{i}", torch.nn.Identity())(getattr(self, f"fc{i}")(x)).relu()
        return getattr(self, f"fc{self.depth}")(x)
networks = {"teacher": Net([20, 16, 12, 8, 4], True), "student": Net([20, 8, 6, 4], False)}
checkpoint, x, logits = torch.load(sys.argv[1], weights_only=True), torch.tensor(json.loads(sys.argv[3])), {}
for name, net in networks.items():
    net.load_state_dict(checkpoint[name], strict=True)
    logits[name] = net.eval()(x).flatten().tolist()
torch.manual_seed(1)
for net in networks.values():
    for parameter in net.parameters(): torch.nn.init.uniform_(parameter)
    net.train()(torch.randn(16, 20))
    logits[str(len(logits))] = net.eval()(x).flatten().tolist()
torch.save({name: net.state_dict() for name, net in networks.items()}, sys.argv[2])
print(json.dumps(logits))`;
    const logits = (await run(code, file, back, JSON.stringify(x.toArray()))) as Record<string, number[]>;
    const forward = (net: TeacherNet | StudentNet) => noGrad(() => net.forward(x).data);
    expectClose(forward(ours.teacher), logits.teacher ?? [], { abs: 1e-5 });
    expectClose(forward(ours.student), logits.student ?? [], { abs: 1e-5 });
    const [teacher, student] = [await load(back, { key: "teacher" }), await load(back, { key: "student" })];
    expectClose(forward(ours.teacher.loadStateDict(teacher)), logits["2"] ?? [], { rel: 1e-5 });
    expectClose(forward(ours.student.loadStateDict(student)), logits["3"] ?? [], { rel: 1e-5 });
  });
});
