import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import * as D from "../src/index.js";
import { temporaryFolder } from "./support.js";

const folder = temporaryFolder();
const table = join(folder, "a.csv");
const rows = join(folder, "new.csv");
beforeAll(() => {
  writeFileSync(table, "a,b,scores,label\n1,2,1 0,x\n2,1,0 1,y\n3,5,1 0,x\n4,4,0 1,y\n");
  writeFileSync(rows, "a,b\n1,2\n");
});

const x = D.zeros([2, 3]);
const labels = Int32Array.of(0, 1);
const data = () => new D.TensorDataset(x, labels);
const net = () => new D.Linear(3, 2);
const memory = () => new D.CrdMemory({ samples: 10 });
const spec: D.Preprocessing = {
  kind: "table",
  classes: 2,
  classNames: ["x", "y"],
  columns: ["a", "b"].map((name) => ({ name, mean: 0, std: 1 })),
  label: { name: "label", index: 2 },
  header: true,
};
const definition = { name: "f", forward: () => ({ data: new Float32Array(1), shape: [1], saved: null }) };

/** The argument, and a call with something of no use in its place. */
const CALLS: readonly [argument: string, name: string, call: (value: never) => unknown, values: readonly unknown[]][] =
  [
    [
      "image",
      "ImageDataset",
      (v) => new D.ImageDataset(new Uint8Array(6), labels, { image: v, mean: 0, std: 1 }),
      [null, 7],
    ],
    ["unlabelled", "TensorDataset", (v) => new D.TensorDataset(x, labels, { unlabelled: v }), [null, "false", 1]],
    ["unlabelled", "fromIterable", (v) => D.fromIterable([{ input: [1], label: 0 }], { unlabelled: v }), ["false", {}]],
    ["teacher", "evaluate", (v) => D.evaluate(net(), data(), { teacher: v }), [null, "", Number.NaN]],
    ["classNames", "predict", (v) => D.predict(net(), x, { classNames: v }), ["ab", 7, {}]],
    ["preprocessing", "predict", (v) => D.predict(net(), x, { preprocessing: v }), ["ab", 7, {}]],
    ["encoding", "readSamples", (v) => D.readSamples(rows, spec, { encoding: v }), ["utf-9", null, 7]],
    ["dropColumns", "readSamples", (v) => D.readSamples(rows, spec, { dropColumns: v }), ["a", null, 7]],
    ["encoding", "logitsColumn", (v) => D.logitsColumn(table, "scores", { encoding: v }), ["utf-9", null, 7]],
    ["labelColumns", "logitsColumn", (v) => D.logitsColumn(table, "scores", { labelColumns: v }), ["a", 7]],
    ["header", "logitsColumn", (v) => D.logitsColumn(table, "scores", { header: v }), ["false", 1]],
    ["column", "logitsColumn", (v) => D.logitsColumn(table, v), [null, Symbol("scores"), {}]],
    ["answers", "functionTeacher", (v) => D.functionTeacher(() => [], { answers: v }), [true, 7, ""]],
    ["version", "functionTeacher", (v) => D.functionTeacher(() => [], { version: v }), [null, 7]],
    ["input", "onnxTeacher", (v) => D.onnxTeacher("a.onnx", { input: v }), [7, 3n]],
    ["mean", "onnxTeacher", (v) => D.onnxTeacher("a.onnx", { mean: v }), ["0.5", Number.NaN, 3n, null]],
    ["std", "onnxTeacher", (v) => D.onnxTeacher("a.onnx", { std: v }), [0, -1, [1, "2"]]],
    ["size", "onnxTeacher", (v) => D.onnxTeacher("a.onnx", { size: v }), ["224", 0, [8]]],
    ["signal", "writeLogits", (v) => D.writeLogits(net(), data(), join(folder, "l.npy"), { signal: v }), [null, 7, {}]],
    ["onNote", "writeLogits", (v) => D.writeLogits(net(), data(), join(folder, "l.npy"), { onNote: v }), [null, "x"]],
    ["defineOp: f: barrier", "defineOp", (v) => D.defineOp({ ...definition, barrier: v }), [null, 7]],
    ["defineOp: f: js", "defineOp", (v) => D.defineOp({ ...definition, js: v }), [null, "x"]],
    ["defineOp: f: onnx", "defineOp", (v) => D.defineOp({ ...definition, onnx: v }), [null, 7]],
    ["view", "defineOp", (v) => D.defineOp({ ...definition, view: v }), [null, "true"]],
    [
      "modules",
      "createNetwork",
      (v) => D.createNetwork("./net.mjs#Tiny", { shape: [3], classes: 2 }, { modules: v }),
      [null, 7, {}],
    ],
    ["teacher", "hashOfTeacher", (v) => D.hashOfTeacher(v), [null, 7, {}, net()]],
    ["crdLoss: indices", "crdLoss", (v) => D.crdLoss(x, x, v, { memory: memory() }), [null, undefined, [0, 1]]],
    ["config", "trainingOptions", (v) => D.trainingOptions(v), [null, 7, []]],
    ["config", "distillationOptions", (v) => D.distillationOptions(v), [null, 7, []]],
    [
      "data",
      "runReport",
      (v) => D.runReport({ config: {}, history: [], networks: { student: net() }, data: v }),
      [null, 7],
    ],
  ];

test.each(CALLS)("%s of %s is refused by its name where it is of no use", async (argument, _name, call, values) => {
  for (const value of values) {
    const error = await (async () => call(value as never))().then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error, String(value)).toMatchObject({
      name: "DistilleryError",
      code: expect.stringMatching(/^BAD_(ARGUMENT|DTYPE)$/),
      message: expect.stringContaining(argument),
    });
    expect((error as D.DistilleryError).argument, String(value)).toMatch(argument);
  }
});
