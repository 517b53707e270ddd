import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import * as D from "../src/index.js";
import { temporaryFolder } from "./support.js";

const folder = temporaryFolder();
const configuration = join(folder, "a.json");
beforeAll(() => writeFileSync(configuration, "{}"));
const x = D.zeros([2, 3]);
const images = D.zeros([1, 1, 2, 2]);
const labels = Int32Array.of(0, 1);
const data = () => new D.TensorDataset(D.zeros([20, 3]), new Int32Array(20), { classes: 2 });
const net = () => new D.Linear(3, 2);
const sgd = () => new D.SGD(net().parameters(), { lr: 0.1 });
const module = net();
const optimizer = sgd();
const state = { ...new D.LeNet300({ inFeatures: 3, classes: 2 }).stateDict() };
const context = { shape: [3], classes: 2 };
const epoch = { epoch: 1, epochs: 1, metrics: { loss: 1 }, lr: 1, seconds: 1 } as never;
/** What comes before the options of a function or class, and an option that it needs. */
type Before = [args: unknown[], needed?: object];

/** Of everything exported that takes options by their names. */
const CALLS: Record<string, Before> = {
  Adam: [[module.parameters()]],
  AdamW: [[module.parameters()]],
  SGD: [[module.parameters()]],
  AvgPool1d: [[2]],
  AvgPool2d: [[2]],
  BatchNorm1d: [[3]],
  BatchNorm2d: [[3]],
  Conv1d: [[3, 2, 1]],
  Conv2d: [[3, 2, 1]],
  MaxPool1d: [[2]],
  MaxPool2d: [[2]],
  Upsample: [[], { size: 2 }],
  Embedding: [[3, 2]],
  EmbeddingBag: [[3, 2]],
  "F.embedding": [[D.zeros([2]), x]],
  "F.embeddingBag": [[D.zeros([2, 2]), x]],
  GELU: [[]],
  "F.scaledDotProductAttention": [[x, x, x]],
  "F.layerNorm": [[x, [3], null, null]],
  GroupNorm: [[1, 3]],
  LayerNorm: [[3]],
  Linear: [[3, 2]],
  MultiheadAttention: [[4, 2]],
  TransformerEncoder: [[new D.TransformerEncoderLayer(4, 2), 1]],
  TransformerEncoderLayer: [[4, 2]],
  LeNet300: [[]],
  LeNet5: [[]],
  CifarResNet: [[], { blocks: 1 }],
  MobileNetV2: [[]],
  ResNet: [[], { blocks: [1, 1, 1, 1] }],
  ShuffleNetV1: [[]],
  ShuffleNetV2: [[]],
  Vgg: [[], { convolutions: [1, 1, 1, 1, 1] }],
  WideResNet: [[], { blocks: 1 }],
  Mlp: [[], { inFeatures: 3, hidden: [4], classes: 2 }],
  StudentNet: [[]],
  Bert: [[], { layers: 1, dim: 2, heads: 1, hidden: 2, buckets: 2 }],
  TextBag: [[], { classes: 2 }],
  TextTransformer: [[], { length: 3, classes: 2 }],
  TeacherNet: [[]],
  ConstantLR: [[optimizer]],
  CosineAnnealingLR: [[optimizer], { tMax: 3 }],
  CosineAnnealingWarmRestarts: [[optimizer], { t0: 3 }],
  ExponentialLR: [[optimizer], { gamma: 0.5 }],
  LambdaLR: [[optimizer], { schedule: () => 1, totalSteps: 3 }],
  LinearLR: [[optimizer]],
  MultiStepLR: [[optimizer], { milestones: [1] }],
  OneCycleLR: [[optimizer], { maxLr: 1, totalSteps: 3 }],
  PolynomialLR: [[optimizer]],
  ReduceLROnPlateau: [[optimizer]],
  SequentialLR: [[optimizer], { schedulers: [new D.PolynomialLR(optimizer)], milestones: [] }],
  StepLR: [[optimizer], { stepSize: 1 }],
  cosineRestartsSchedule: [[], { t0: 3 }],
  cosineSchedule: [[]],
  exponentialSchedule: [[], { gamma: 0.5 }],
  linearSchedule: [[]],
  multiStepSchedule: [[], { milestones: [1] }],
  oneCycleSchedule: [[]],
  polynomialSchedule: [[]],
  stepSchedule: [[], { stepSize: 1 }],
  ExponentialMovingAverage: [[module]],
  DataLoader: [[data()]],
  CrdMemory: [[], { samples: 10 }],
  VidRegressor: [[3, 2]],
  TensorDataset: [[x, labels]],
  TableDataset: [[x, labels], { table: { columns: [], label: { name: "y", index: 3 }, header: true } }],
  StandardizedDataset: [[x, labels], { values: { mean: [0, 0, 0], std: [1, 1, 1] } }],
  ImageDataset: [[new Uint8Array(6), labels], { features: 3, mean: 0, std: 1 }],
  augment: [[data()], { noise: 0.1 }],
  fromIterable: [[[{ input: [1], label: 0 }]]],
  loadData: [["synthetic"]],

  openStreamed: [[{ inputs: "a.npy", labels: "b.npy" }]],
  splitDataset: [[data()], { fraction: 0.5 }],
  stratify: [[labels, 2], { fraction: 0.5 }],
  synthetic: [[]],
  readSamples: [["a.csv", { kind: "values", features: 3 }]],
  downloadData: [["mnist"]],
  Tensor: [[new Float32Array(2), [2]]],
  tensor: [[[1, 2]]],
  compare: [[], { data: data(), out: folder }],
  compareShare: [[], { data: data(), out: folder }],
  sweepShare: [[], { data: data(), out: folder }],
  sweep: [[], { data: data(), out: folder }],
  distill: [[], { teacher: net(), student: net(), data: data(), epochs: 1 }],
  trainTeacher: [[], { model: net(), data: data(), epochs: 1 }],
  estimateRun: [[], { teacher: net(), student: net(), data: data(), epochs: 1 }],
  evaluate: [[module, data()]],
  logitsOf: [[module, data()]],
  rkdDistillationLoss: [[{ student: "fc1", teacher: "fc1" }]],
  hintDistillationLoss: [[{ student: "fc1", teacher: "fc1" }]],
  vidDistillationLoss: [[{ student: "fc1", teacher: "fc1" }]],
  cosineFeatureDistillationLoss: [[{ student: "fc1", teacher: "fc1" }]],
  crdDistillationLoss: [[{ student: "fc1", teacher: "fc1" }]],
  crdLoss: [[x, x, labels]],
  reviewKdLoss: [[[x], [x]]],
  reviewKdDistillationLoss: [[{ student: ["fc1"], teacher: ["fc1"] }]],
  topKKdLoss: [[x, new D.IntTensor(new Int32Array(2), [2, 1]), D.zeros([2, 1])]],
  predict: [[module, x]],
  runReport: [[], { config: {}, history: [], networks: {} }],
  compareReport: [[{}]],
  sweepReport: [[{}]],
  createLoss: [["kd", context]],
  clipGradNorm: [[[], 1]],
  ones: [[[2]]],
  randn: [[[2]]],
  zeros: [[[2]]],
  createNetwork: [["mlp(hidden=[4])", context]],
  createScheduler: [["cosine", { optimizer, epochs: 1, stepsPerEpoch: 2 }]],
  crossEntropy: [[x, labels]],
  kdLossParts: [[x, x, labels]],
  defineFunction: [[], { name: "f", forward: (_: unknown, y: D.Tensor) => y, backward: () => [null] }],
  defineOp: [[], { name: "f", forward: () => x, backward: () => [null] }],
  exportOnnx: [[module]],
  exportJs: [[module]],
  serveNetwork: [[module]],
  saveHtml: [[module, `${folder}/a.html`]],
  saveJs: [[module, `${folder}/a.mjs`]],
  saveOnnx: [[module, `${folder}/a.onnx`]],
  save: [[state, `${folder}/a.safetensors`]],
  load: [["a.pth"]],
  loadCheckpoint: [["a.pth"]],
  loadNetwork: [["a.pth"]],
  inspectCheckpoint: [["a.pth"]],
  readPreprocessing: [["a.pth"]],
  networkFrom: [[state]],
  formatEpoch: [["KD", epoch]],
  logitsFile: [["a.npy"]],
  openTeacher: [["a.pth"]],
  openTeachers: [[["a.pth"]]],
  averaged: [[[net(), net()]]],
  Ensemble: [[[net(), net()]]],
  frozen: [[module]],
  live: [[module]],
  readConfig: [["distill", configuration]],
  defineConfig: [["distill"], { epochs: 1 }],
  "F.batchNorm": [
    [x, { weight: D.ones([3]), bias: x, runningMean: x, runningVar: x }],
    { training: true, eps: 1, momentum: 1 },
  ],
  "F.avgPool2d": [[images, 2]],
  "F.conv2d": [[images, D.zeros([1, 1, 1, 1]), null]],
  "F.cosineEmbeddingLoss": [[x, x, Int32Array.of(1, -1)]],
  "F.crossEntropy": [[x, labels]],
  "F.maxPool2d": [[images, 2]],
  "F.binaryCrossEntropy": [[x, x]],
  "F.binaryCrossEntropyWithLogits": [[x, x]],
  "F.cosineSimilarity": [[x, x]],
  "F.gelu": [[x]],
  "F.huberLoss": [[x, x]],
  "F.klDiv": [[x, x]],
  "F.l1Loss": [[x, x]],
  "F.mseLoss": [[x, x]],
  "F.nllLoss": [[x, labels]],
  "F.normalize": [[x]],
  "F.smoothL1Loss": [[x, x]],
  "F.tripletMarginLoss": [[x, x, x]],
  "init.kaimingNormal": [[x]],
  "init.kaimingUniform": [[x]],
  "init.xavierNormal": [[x]],
  "init.xavierUniform": [[x]],
  emaTeacher: [[]],
  functionTeacher: [[() => []]],
  logitsColumn: [["a.csv", "teacher"]],
  onnxTeacher: [["a.onnx"]],
  writeLogits: [[net(), data(), join(folder, "logits.npy")]],
  "x.slice": [[0, 1]],
  "x.std": [[0]],
  "x.var": [[0]],
  "module.loadStateDict": [[module.stateDict()]],
  "module.namedModules": [[]],
  "optimizer.addParamGroup": [[], { params: [new D.Parameter(new Float32Array(1))] }],
};

// Losses, of which there will be more, by the number of their arguments.
for (const [name, value] of Object.entries(D)) {
  if (!name.endsWith("Loss") || name === "logitMseLoss" || typeof value !== "function") continue;
  const takesLayers = name.endsWith("DistillationLoss") && value.length > 0;
  const before = takesLayers ? [] : [x, x, labels].slice(0, value.length);
  CALLS[name] ??= [before, takesLayers ? { student: "fc1", teacher: "fc1" } : {}];
}

/** Errors take what JavaScript's do. */
const OWN_ERRORS = new Set(["DistilleryError"]);

const owners: Record<string, object> = { F: D.F, init: D.init, x, module, optimizer };
/** Calls what is exported under a name; its error, or null. */
async function refused(name: string, args: readonly unknown[]): Promise<unknown> {
  const [owner, method] = name.split(".") as [string, string?];
  const target = method === undefined ? D : (owners[owner] as object);
  const called = Reflect.get(target, method ?? owner) as (...args: unknown[]) => unknown;
  try {
    const isClass = /^class\b/.test(Function.prototype.toString.call(called));
    const made = isClass ? Reflect.construct(called, args) : Reflect.apply(called, target, args);
    await made;
    return null;
  } catch (error) {
    return error;
  }
}

describe.each(Object.keys(CALLS))("%s", (name) => {
  test("refuses an option that does not exist", async () => {
    const [before, needed = {}] = CALLS[name];
    const error = await refused(name, [...before, { ...needed, weihgt_of_it: 1 }]);
    expect(error).toMatchObject({
      code: expect.stringMatching(/^BAD_(ARGUMENT|CONFIG)$/),
      message: expect.stringContaining("weihgt_of_it"),
    });
    const names = /expected one of (.*)/.exec((error as Error).message)?.[1].split(/, | or /) ?? [];
    expect(names).toEqual([...new Set(names)]);
    expect(names).not.toContain("");
  });

  test("refuses what is no object of options", async () => {
    for (const value of [false, 7, "sum", null, D.ones([1])]) {
      const error = await refused(name, [...CALLS[name][0], value]);
      expect(error, String(value)).toMatchObject({ name: "DistilleryError" });
    }
  });
});

/** The names of the functions and classes of an object, each with its parameters as they are written. */
const functionsOf = (owner: object, prefix = "") =>
  Object.entries(owner).flatMap(([name, value]): [name: string, parameters: string][] => {
    if (typeof value !== "function") return [];
    const source = Function.prototype.toString.call(value);
    const [, parameters = ""] = /(?:^|\bconstructor|\bfunction\b[^(]*)\s*\(([^)]*)\)/.exec(source) ?? [];
    return [[prefix + name, parameters]];
  });

test("everything exported whose arguments are called options is above", () => {
  const taking = [...functionsOf(D), ...functionsOf(D.F, "F."), ...functionsOf(D.init, "init.")].filter(([, given]) =>
    /\boptions\b/.test(given),
  );
  expect(taking.map(([name]) => name).filter((name) => !OWN_ERRORS.has(name) && !(name in CALLS))).toEqual([]);
});

/** The file is what errors call it. */
const NAMES_ONLY = new Set(["parsePreprocessing"]);
const takingPaths = functionsOf(D).flatMap(([name, parameters]): [name: string, parameter: string, at: number][] => {
  const names = parameters.split(",").map((parameter) => parameter.trim());
  const at = names.findIndex((parameter) => /^(files?|path|source|folder)\b/.test(parameter));
  return at < 0 || NAMES_ONLY.has(name) ? [] : [[name, names[at], at]];
});

test.each(takingPaths)("%s refuses what is no path as its %s", async (name, parameter, at) => {
  const [argument, byDefault] = parameter.split(/ *= */);
  for (const value of byDefault === undefined ? [undefined, 7, "a\0b"] : [7, "a\0b"]) {
    const args = [...(CALLS[name]?.[0] ?? [])];
    args[at] = value;
    const error = await refused(name, args);
    const message = expect.stringMatching(new RegExp(`^${argument}(\\[0\\])?: expected `));
    expect(error, String(value)).toMatchObject({ code: "BAD_ARGUMENT", message });
  }
});
