import { expect, test } from "vitest";
import * as D from "../../src/index.js";

const { AdamW, BatchNorm1d, clipGradNorm, crossEntropy, Dropout, Embedding, F, kdLoss, Linear } = D;
const { noGrad, Parameter, StepLR, Tensor, zeros } = D;

const x = zeros([2, 3]);
const labels = Int32Array.of(0, 1);
/** A call with arguments that its types refuse. */
const call = (f: unknown, ...args: unknown[]) => (f as (...args: unknown[]) => D.Tensor)(...args);
const surplus = <K extends string>(of: Record<K, unknown>, name: K, argument: unknown) =>
  call((of[name] as () => unknown).bind(of), argument);
const adam = () => new AdamW([new Parameter(new Float32Array(2))]);
const make = (type: unknown, ...args: unknown[]) => new (type as new (...args: unknown[]) => unknown)(...args);

test.each<[call: () => unknown, message: string]>([
  [() => call(F.mseLoss, x, x, "sum"), 'mseLoss: expected options by their names, got "sum"'],
  [() => call(F.l1Loss, x, x, { reductoin: "sum" }), 'l1Loss: unknown option "reductoin", did you mean reduction?'],
  [() => call(F.smoothL1Loss, x, x, { Beta: 2 }), 'smoothL1Loss: unknown option "Beta", did you mean beta?'],
  [() => call(F.klDiv, x, x, "sum"), 'klDiv: expected options by their names, got "sum"'],
  [() => call(F.nllLoss, x, labels, { ignore_index: 0 }), 'unknown option "ignore_index", did you mean ignoreIndex?'],
  [() => call(F.gelu, x, "tanh"), 'gelu: expected options by their names, got "tanh"'],
  [() => x.std(1, false as never), "std: expected options by their names, got false"],
  [() => x.var(1, null as never), "var: expected options by their names, got null"],
  [() => call(F.cosineSimilarity, x, x, 0), "cosineSimilarity: expected options by their names, got 0"],
  [() => call(F.normalize, x, 2), "normalize: expected options by their names, got 2"],
  [
    () => call(crossEntropy, x, labels, { label_smoothing: 0.1 }),
    'crossEntropy: unknown option "label_smoothing", did you mean labelSmoothing?',
  ],
  [() => call(kdLoss, x, x, labels, { temprature: 4 }), 'unknown option "temprature", did you mean temperature?'],
  [() => call(kdLoss, x, x, labels, 4, 0.9), "kdLoss: expected options by their names, got 4"],
  [() => make(Linear, 3, 4, false), "Linear: expected options by their names, got false"],
  [() => make(BatchNorm1d, 3, { epsilon: 1e-3 }), 'BatchNorm1d: unknown option "epsilon"'],
  [
    () => make(BatchNorm1d, 3, { momentum: null }),
    "momentum: expected a number from 0 to 1, got null: PyTorch's cumulative average is not supported",
  ],
  [() => make(BatchNorm1d, 3, { eps: null }), "eps: expected a number of at least 0, got null"],
  [() => make(Linear, 1e6, 1e6), "shape: expected fewer than 2^31 elements, got 1000000000000 of [1000000, 1000000]"],
  [() => make(Embedding, 2 ** 24, 128), "shape: expected fewer than 2^31 elements, got 2147483648 of [16777216, 128]"],
  [() => zeros([2 ** 16, 2 ** 15]), "shape: expected fewer than 2^31 elements, got 2147483648 of [65536, 32768]"],
  [() => make(Linear, 3, 4, { bias: null }), "bias: expected true or false, got null"],
  [() => make(Linear, 3, 4, { bias: "no" }), 'bias: expected true or false, got "no"'],
  [() => zeros([3]).slice(0, 2, { step: null as never }), "step: expected a whole number of at least 1, got null"],
  [() => call(F.mseLoss, x, x, { reduction: null }), "reduction"],
  [() => make(Tensor, new Float32Array(1), [1], { requiresGrad: 1 }), "requiresGrad: expected true or false, got 1"],
  [() => make(Dropout, 0.5, { bogus: 1 }), "Dropout: expected p alone"],
  [() => make(D.ReLU, 5), "ReLU: expected no arguments, got 5"],
  [() => make(D.ReLU6, "x"), 'ReLU6: expected no arguments, got "x"'],
  [() => make(D.SiLU, { inplace: true }), "SiLU: expected no arguments, got a value of type Object"],
  [() => make(D.Hardswish, 5), "Hardswish: expected no arguments, got 5"],
  [() => make(D.Tanh, 5), "Tanh: expected no arguments, got 5"],
  [() => make(D.Sigmoid, 5), "Sigmoid: expected no arguments, got 5"],
  [() => make(D.LogSoftmax, "1"), 'dim: expected a whole number from -2147483648 to 2147483647, got "1"'],
  [() => call(crossEntropy, x, labels, x), "crossEntropy: expected options by their names, got a value of type Tensor"],
  [() => new Dropout().train("false" as never), 'mode: expected true or false, got "false"'],
  [() => call(zeros, [2], { device: "cuda" }), 'zeros: unknown option "device"'],
  [() => call(zeros([2]).add.bind(zeros([2])), zeros([2]), { alpha: 2 }), "add: expected two operands and no options"],
  [() => surplus(x.sum(), "backward", x.sum()), "backward: expected no gradient (multiply the loss first)"],
  [() => surplus(adam(), "step", () => x.sum()), "step: expected no arguments (call a closure before), got a function"],
  [() => surplus(adam(), "zeroGrad", false), "zeroGrad: expected no arguments (gradients become null), got false"],
  [() => surplus(new StepLR(adam(), { stepSize: 1 }), "step", 3), "step: expected no arguments (restore(step) goes"],
  [() => call(F.softplus, x, 1, 5), "softplus: expected x and beta alone (the threshold is 20), got 5"],
  [() => zeros([2]).sum(0, { keepdim: false } as never), "sum: keepdim: expected true or false"],
  [() => zeros([2]).mean(0, "false" as never), 'mean: keepdim: expected true or false, got "false"'],
  [() => call(clipGradNorm, [], 1, { normType: 3 }), "normType: expected 1, 2 or Infinity, got 3"],
  [() => call(clipGradNorm, [], 1, 1), "clipGradNorm: expected options by their names, got 1"],
  [() => noGrad(async () => 1), "body: expected a function that is not async"],
  [() => make(Dropout, { p: 0.5 }), "p: expected a chance from 0 to 1, got a value of type Object"],
  [() => make(AdamW, [new Parameter(new Float32Array(2))], 0.1), "options: expected options by their names, got 0.1"],
])("unknown and positional options are refused: %s", (run, message) => {
  expect(run).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT", message: expect.stringContaining(message) }));
});

const layers = { student: "fc1", teacher: "fc1" };
const context = { epochs: 1, stepsPerEpoch: 2, optimizer: adam() };
const ofLoss = { classes: 2, labelSmoothing: 0 };
const own = { name: "own", needsTeacher: false, compute: () => ({ loss: x.sum(), metrics: {} }), config: () => null };
const network = new Linear(3, 2);
const one = new Parameter(new Float32Array(2));
const data = new D.TensorDataset(x, labels);

test.each<[call: () => unknown, message: string]>([
  [() => make(StepLR, [one], { stepSize: 1 }), "optimizer: expected an Optimizer, got [a value of type Parameter]"],
  [() => make(D.OneCycleLR, undefined, { maxLr: 1, totalSteps: 2 }), "optimizer: expected an Optimizer, got undefined"],
  [() => make(D.LambdaLR, 7, { schedule: () => 1, totalSteps: 2 }), "optimizer: expected an Optimizer, got 7"],
  [() => call(D.createScheduler, "cosine"), "context: expected options by their names, got undefined"],
  [() => call(D.createScheduler, "cosine", { ...context, epoch: 1 }), 'unknown option "epoch", did you mean epochs?'],
  [
    () => call(D.createScheduler, "cosine", { ...context, optimizer: null }),
    "optimizer: expected an Optimizer, got null",
  ],
  [() => call(D.createScheduler, "cosine", { ...context, epochs: 1.5 }), "context.epochs: expected a whole number"],
  [() => make(D.Adam, [one], { betas: null }), "betas: expected two numbers, got null"],
  [() => make(AdamW, [one], { betas: [0.9, 0.99, 0.9] }), "betas: expected two numbers, got [0.9, 0.99, 0.9]"],
  [
    () => make(D.LayerNorm, 3, { elementwiseAffine: "false" }),
    'elementwiseAffine: expected true or false, got "false"',
  ],
  [() => make(D.LayerNorm, 3, { bias: null }), "bias: expected true or false, got null"],
  [
    () => make(D.OneCycleLR, adam(), { maxLr: 1, totalSteps: 2, cycleMomentum: "false" }),
    'cycleMomentum: expected true or false, got "false"',
  ],
  [() => call(D.defineOp, { name: "f", forward: () => 1, random: "no" }), 'random: expected true or false, got "no"'],
  ...[undefined, 3, [x], { data: x.data }].map((given): [() => unknown, string] => [
    () => D.defineOp({ name: "f", forward: () => given as never })([x], null),
    "f: forward(): expected { data, shape, saved }, got",
  ]),
  [() => call(F.batchNorm, x, undefined, {}), "batchNorm: state: expected options by their names, got undefined"],
  [
    () => call(D.reviewKdDistillationLoss, { student: ["a"], teacher: ["a"] }, { fusion: network }),
    "fusion: expected a ReviewFusion, got a value of type Linear",
  ],
  [
    () => call(D.reviewKdDistillationLoss, { student: "ab", teacher: ["a"] }),
    'layers.student: expected a list of paths, as ["fc1"], got "ab"',
  ],
  [() => call(D.hintDistillationLoss, { student: "a", teacher: 7 }), "layers.teacher: expected a layer's path, got 7"],
  [() => call(D.crdDistillationLoss, layers, {}), "crdDistillationLoss: memory: expected a CrdMemory, got undefined"],
  [() => call(D.logitMseDistillationLoss, { temperature: 4 }), 'unknown option "temperature"'],
  [
    () => call(D.createLoss, { ...own, taps: { studnet: ["fc1"] } }, ofLoss),
    'loss: taps: unknown option "studnet", did you mean student?',
  ],
  [() => call(D.createLoss, { ...own, taps: ["fc1"] }, ofLoss), "loss: expected a loss whose taps are"],
  [() => call(D.frozen, network, { taps: "0" }), 'teacher: taps: expected a list of paths, as ["fc1"], got "0"'],
  [() => call(D.live, network, { taps: [0] }), 'teacher: taps: expected a list of paths, as ["fc1"], got [0]'],
  [() => call(D.createLoss, "kd"), "context: expected options by their names, got undefined"],
  [
    () => call(D.createLoss, "kd", { ...ofLoss, classes: "2" }),
    "context.classes: expected a whole number of at least 1",
  ],
  [() => call(D.createLoss, "kd", { ...ofLoss, labelsmoothing: 0 }), "did you mean labelSmoothing?"],
  [() => call(D.weightedSum, [0.5, D.kdDistillationLoss()]), "terms[0]: expected a term, [weight, loss], got 0.5"],
  [() => call(D.weightedSum, [null]), "terms[0]: expected a term, [weight, loss], got null"],
  [() => call(D.weightedSum, "kd"), 'weightedSum: expected a list of at least one term, got "kd"'],
  [() => D.LOSSES.get(undefined as never), "loss: expected a name, got undefined"],
  [() => D.MODELS.optionsOf(7 as never), "network: expected a name, got 7"],
  [() => call(D.formatExpression, [null]), "expected a name with its arguments, as text or { name: ... }, got null"],
  [() => call(D.evaluateRun, { student: network, teachr: network }, data), "did you mean teacher?"],
  [() => call(D.evaluateRun, { student: network, best: { epoch: 1 } }, data), "best.state: expected"],
  [() => make(D.StandardizedDataset, x, labels, { vaules: {} }), 'unknown option "vaules", did you mean values?'],
  [() => make(D.TableDataset, x, labels, { tbale: {} }), 'unknown option "tbale", did you mean table?'],
  [() => make(D.ImageDataset, new Uint8Array(4), labels, { iamge: {} }), 'unknown option "iamge", did you mean image?'],
  [() => D.networkFrom(undefined as never), "state: expected options by their names, got undefined"],
  [() => D.networkFrom({ a: undefined } as never), 'state["a"]: expected a tensor, got undefined'],
])("what is of another kind is refused in words: %s", (run, message) => {
  expect(run).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT", message: expect.stringContaining(message) }));
});

test.each<[call: () => Promise<unknown>, message: string]>([
  [() => D.importModules("kd" as never), 'expressions: expected a list of expressions, got "kd"'],
  [() => D.estimateRun({} as never), "model: expected a Module, got undefined"],
  [() => D.estimateRun({ teacher: network, student: 7, data } as never), "student: expected a Module, got 7"],
  [
    () => D.estimateRun({ teacher: "x", student: network, data } as never),
    "teacher: expected a Module, a Teacher or a",
  ],
  [
    () => D.trainTeacher({ model: network, data, optimizer: {} } as never),
    "optimizer.name: expected a name, got undefined",
  ],
  [() => D.trainTeacher({ model: network, data, lgos: [] } as never), "lgos: unknown option, did you mean logs?"],
  [() => D.trainTeacher({ model: network, data, optimizer: "1" } as never), "optimizer: expected a name"],
  [() => D.trainTeacher({ model: network, data, optimizer: [] } as never), "optimizer: expected at least one name"],
])("so is what an asynchronous function is given: %s", async (run, message) => {
  await expect(run()).rejects.toMatchObject({ code: "BAD_ARGUMENT", message: expect.stringContaining(message) });
});

const text = { length: 3, classes: 2, buckets: 5, dim: 4, heads: 2 };
test.each<[string, D.Module]>([
  ["Mlp", new D.Mlp({ inFeatures: 3, hidden: [2], classes: 2 })],
  ["LeNet300", new D.LeNet300({ inFeatures: 3, classes: 2 })],
  ["TextTransformer", new D.TextTransformer({ ...text, layers: 1 })],
  ["Bert", new D.Bert({ layers: 1, dim: 2, heads: 1, hidden: 2, buckets: 2 })],
  ["Ensemble", new D.Ensemble([network, new Linear(3, 2)])],
  ["a frozen graph", D.freezeGraph(network, [3])],
])("forward of %s takes a Tensor alone", (_, module) => {
  for (const given of [[[1, 2, 3]], undefined, new D.IntTensor(labels)]) {
    const message = expect.stringMatching(/expected a Tensor( \(float\(\) makes one\))?, got/);
    expect(() => call(module.forward.bind(module), given)).toThrow(
      expect.objectContaining({ code: "BAD_DTYPE", message }),
    );
  }
});
