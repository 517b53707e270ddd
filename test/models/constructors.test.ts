import { expect, test } from "vitest";
import {
  Bert,
  CifarResNet,
  LeNet5,
  LeNet300,
  Mlp,
  MobileNetV2,
  ResNet,
  ShuffleNetV2,
  StudentNet,
  TeacherNet,
  TextBag,
  TextTransformer,
  Vgg,
  WideResNet,
} from "../../src/index.js";

const small = { layers: 1, dim: 4, heads: 2, hidden: 4, buckets: 8 };
const text = { ...small, length: 4, classes: 2 };
const mlp = { inFeatures: 3, classes: 2 };

test.each<[name: string, make: (options: never) => unknown, options: object]>([
  ["Bert", (options) => new Bert(options), { ...small, eps: undefined, types: undefined, normalize: undefined }],
  ["TextTransformer", (options) => new TextTransformer(options), { ...text, dropout: undefined, layers: undefined }],
  ["TextBag", (options) => new TextBag(options), { buckets: 8, classes: 2, dim: undefined, hidden: undefined }],
  ["Mlp", (options) => new Mlp(options), { ...mlp, hidden: [4], dropout: undefined, norm: undefined }],
])("%s: undefined counts as not given", (_, make, options) => {
  const given = JSON.parse(JSON.stringify(options)) as object;
  expect(String(make(options as never))).toBe(String(make(given as never)));
});

const COUNT = "expected a whole number from 1 to 1024";
const LENGTH = "expected a whole number from 1 to 2147483647";
const RESNET = "blocks: expected the blocks of each of 4 stages, as [2, 2, 2, 2], got";
const VGG = "convolutions: expected the convolutions of each of 5 blocks, as [1, 1, 1, 1, 1], got";

test.each<[make: (options: never) => unknown, options: object, text: string]>([
  [(o) => new ResNet(o), { blocks: [3, 4, 6] }, `${RESNET} [3, 4, 6]`],
  [(o) => new ResNet(o), { blocks: [1, 1, 1, 1, 1] }, `${RESNET} [1, 1, 1, 1, 1]`],
  [(o) => new ResNet(o), {}, `${RESNET} undefined`],
  [(o) => new ResNet(o), { blocks: [Number.NaN, 1, 1, 1] }, `blocks[0]: ${COUNT}, got NaN`],
  [(o) => new ResNet(o), { blocks: [1, "1", 1, 1] }, `blocks[1]: ${COUNT}, got "1"`],
  [(o) => new ResNet(o), { blocks: [2 ** 31, 1, 1, 1] }, `blocks[0]: ${COUNT}, got 2147483648`],
  [
    (o) => new ResNet(o),
    { blocks: [1, 1, 1, 1], block: "Basic" },
    'block: expected "basic" or "bottleneck", got "Basic"',
  ],
  [(o) => new CifarResNet(o), { blocks: 2 ** 31 }, `blocks: ${COUNT}, got 2147483648`],
  [
    (o) => new CifarResNet(o),
    { blocks: 1, widths: [2, 2, 4, 4, 8] },
    "widths: expected a list of 4 widths, got [2, 2, 4",
  ],
  [(o) => new WideResNet(o), { blocks: 1, widen: 0 }, `widen: ${COUNT}, got 0`],
  [(o) => new Vgg(o), { convolutions: "x" }, `${VGG} "x"`],
  [(o) => new Vgg(o), { convolutions: [1, 1, 1, 1, -1] }, `convolutions[4]: ${COUNT}, got -1`],
  [(o) => new Bert(o), { ...small, layers: Number.NaN }, `layers: ${COUNT}, got NaN`],
  [(o) => new Bert(o), { ...small, heads: -1 }, `heads: ${LENGTH}, got -1`],
  [(o) => new Bert(o), { ...small, hidden: 0 }, `hidden: ${LENGTH}, got 0`],
  [(o) => new Bert(o), { ...small, eps: "x" }, 'eps: expected a number of at least 0, got "x"'],
  [(o) => new TextTransformer(o), { ...text, layers: 2 ** 31 }, `layers: ${COUNT}, got 2147483648`],
  [(o) => new TextTransformer(o), { ...text, layers: 1.5 }, `layers: ${COUNT}, got 1.5`],
  [(o) => new TextTransformer(o), { ...text, length: 0 }, `length: ${LENGTH}, got 0`],
  [
    (o) => new TextTransformer(o),
    { ...text, heads: Number.NaN },
    "heads: expected a whole number from 1 to 65536, got NaN",
  ],
  [(o) => new StudentNet(o), { hidden: [4, 4, 4, 4] }, "hidden: expected a list of 2 widths, got [4, 4, 4, 4]"],
  [(o) => new StudentNet(o), { hidden: 5 }, "hidden: expected a list of 2 widths, got 5"],
  [(o) => new TeacherNet(o), { hidden: [4, 4, 4, 4] }, "hidden: expected a list of 3 widths, got [4, 4, 4, 4]"],
  [(o) => new LeNet300(o), { classes: 0 }, `classes: ${LENGTH}, got 0`],
  [(o) => new LeNet5(o), { shape: 28 }, "shape: expected a shape, as [1, 28, 28], got 28"],
  [(o) => new ShuffleNetV2(o), { channels: "x" }, `channels: ${LENGTH}, got "x"`],
  [(o) => new MobileNetV2(o), { width: 0 }, "width: expected a number from 1/16 to 1024, got 0"],
  [(o) => new Mlp(o), { inFeatures: 3 }, `classes: ${LENGTH}, got undefined`],
  [(o) => new Mlp(o), { ...mlp, hidden: 64 }, "hidden: expected a list of widths, got 64"],
  [(o) => new Mlp(o), { ...mlp, norm: "Batch" }, 'norm: expected one of "none", "batch", "layer", got "Batch"'],
  [(o) => new Mlp(o), { ...mlp, activation: "constructor" }, 'activation: expected one of "relu", "tanh"'],
  [(o) => new Mlp(o), { ...mlp, dropout: -1 }, "dropout: expected a number from 0 to below 1, got -1"],
])("%s with %o is refused by the option's own name", (make, options, text) => {
  expect(() => make(options as never)).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
  expect(() => make(options as never)).toThrow(text);
});
