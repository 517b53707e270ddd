import { expect, test } from "vitest";
import {
  AdamW,
  BatchNorm1d,
  clipGradNorm,
  crossEntropy,
  Dropout,
  Embedding,
  F,
  kdLoss,
  Linear,
  noGrad,
  Parameter,
  StepLR,
  Tensor,
  zeros,
} from "../../src/index.js";

const x = zeros([2, 3]);
const labels = Int32Array.of(0, 1);
/** A call with arguments that its types refuse. */
const call = (f: unknown, ...args: unknown[]) => (f as (...args: unknown[]) => Tensor)(...args);
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
  [() => make(BatchNorm1d, 3, { momentum: null }), "momentum: expected a number from 0 to 1, got null"],
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
  [() => new Dropout().train("false" as never), 'mode: expected true or false, got "false"'],
  [() => call(zeros, [2], { device: "cuda" }), 'zeros: unknown option "device"'],
  [() => call(zeros([2]).add.bind(zeros([2])), zeros([2]), { alpha: 2 }), "add: expected two operands and no options"],
  [() => surplus(x.sum(), "backward", x.sum()), "backward: expected no arguments"],
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
