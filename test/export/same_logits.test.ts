import { beforeAll, describe, expect, test } from "vitest";
import { exportedGraph } from "../../src/export/index.js";
import { GraphModule } from "../../src/graph/index.js";
import {
  evaluate,
  exportOnnx,
  F,
  ImageDataset,
  loadImages,
  manualSeed,
  StudentNet,
  TeacherNet,
  Tensor,
} from "../../src/index.js";
import { describeWith, fashionMnist } from "../helpers/needs.js";
import { accuracy, type Initializers, initializers, logitsOf, relativeError, run, standIn, teach } from "./support.js";

manualSeed(0);
const CLOSE = 1e-5;
const NETWORKS = [
  ["TeacherNet", () => new TeacherNet(), 20],
  ["StudentNet", () => new StudentNet(), 100],
] as const;

describe.each(NETWORKS)("%s in ONNX Runtime, on random images", (_, make) => {
  const images = standIn(1_000);
  const { inputs } = images.slice(0, images.length);
  const network = make();
  let logits: Float32Array;
  beforeAll(() => {
    teach(network, standIn(256 * 5), 5);
    logits = logitsOf(network, inputs).data;
  });

  test.each([
    [1, 100],
    [7, 1_000],
    [1000, 1_000],
  ])("gives our logits to 1e-5 of a row's size, %i images at a time", async (batch, samples) => {
    const { data } = await run(exportOnnx(network), inputs.data.subarray(0, 784 * samples), 784, batch);
    expect(relativeError(data, logits.subarray(0, 10 * samples), 10)).toBeLessThan(CLOSE);
  });

  test("with the normalisation inside it takes the pixels", async () => {
    const bytes = exportOnnx(network, { normalisation: images, embedNormalisation: true });
    const { data } = await run(bytes, images.pixels, 784, 1000);
    expect(relativeError(data, logits, 10)).toBeLessThan(CLOSE);
  });

  test("in half precision it gives the logits of the same weights in ours, in half of the bytes", async () => {
    const bytes = exportOnnx(network, { quantize: "float16" });
    const ours = logitsOf(new GraphModule(exportedGraph(network, { quantize: "float16" })), inputs).data;
    const { data } = await run(bytes, inputs.data, 784, 1000);
    expect(relativeError(data, ours, 10)).toBeLessThan(CLOSE);
    expect(bytes.length / exportOnnx(network).length).toBeLessThan(0.51);
  });

  test("in 8 bits it gives the logits of the same weights in ours, whatever the other rows are, in a quarter of the bytes", async () => {
    const bytes = exportOnnx(network, { quantize: "int8" });
    const ours = logitsOf(new GraphModule(exportedGraph(network, { quantize: "int8" })), inputs).data;
    const { data } = await run(bytes, inputs.data, 784, 1000);
    expect(relativeError(data, ours, 10)).toBeLessThan(CLOSE);
    expect(bytes.length / exportOnnx(network).length).toBeLessThan(0.26);
    const alone = await run(bytes, inputs.slice(0, 100).data, 784, 1);
    expect(relativeError(alone.data, ours.subarray(0, 1000), 10)).toBeLessThan(CLOSE);
  });
});

test.each([
  ["TeacherNet", () => new TeacherNet({ hidden: [256, 128, 64] }), 20],
  ["StudentNet", () => new StudentNet({ hidden: [256, 128] }), 20],
] as const)("8 bits cost %s the error that rounding its weights must have", async (_, make, steps) => {
  const network = make();
  teach(network, standIn(256 * steps), steps);
  const { inputs } = standIn(500).slice(0, 500);
  const logits = logitsOf(network, inputs).data;
  const [whole, int8] = [exportOnnx(network), exportOnnx(network, { quantize: "int8" })];
  const { data } = await run(int8, inputs.data, 784, 500);
  const rms = Math.sqrt(logits.reduce((sum, x, i) => sum + (data[i] - x) ** 2, 0) / logits.length);
  const expected = roundingError(initializers(whole), initializers(int8), inputs);
  expect(rms / expected).toBeGreaterThan(0.7);
  expect(rms / expected).toBeLessThan(1.4);
});

// A network that has learned: its logits are large beside the rounding errors of its weights.
const data = await fashionMnist();

describeWith(data, "on Fashion-MNIST", () => {
  describe.each(NETWORKS)("%s in ONNX Runtime", (_, make, steps) => {
    const network = make();
    let held: ImageDataset;
    let inputs: Tensor;
    let logits: Float32Array;
    beforeAll(async () => {
      const { train, test } = await loadImages("fashion-mnist");
      held = test;
      teach(network, train, steps);
      inputs = held.slice(0, held.length).inputs;
      logits = logitsOf(network, inputs).data;
    });

    test("gives our logits to 1e-5 of a row's size for 10,000 images", async () => {
      const { data } = await run(exportOnnx(network), inputs.data, 784, 1000);
      expect(relativeError(data, logits, 10)).toBeLessThan(CLOSE);
    });

    test("8 bits cost less than 2% of a row's size in each logit, and less than half a point of accuracy", async () => {
      const { data } = await run(exportOnnx(network, { quantize: "int8" }), inputs.data, 784, 1000);
      expect(relativeError(data, logits, 10)).toBeLessThan(0.02);
      const before = evaluate(network, held).accuracy;
      expect(accuracy(logits, held.labels.data)).toBe(before);
      expect(before).toBeGreaterThan(0.6);
      expect(Math.abs(before - accuracy(data, held.labels.data))).toBeLessThan(0.005);
    });
  });
});

test("colours have a normalisation each", async () => {
  const image = { channels: 3, height: 2, width: 2 };
  const numbers = { mean: [0.5, 0.25, 0.125], std: [0.5, 0.2, 0.1] };
  const pixels = Uint8Array.from({ length: 40 * 12 }, (_, i) => (i * 37) % 256);
  const colours = new ImageDataset(pixels, new Int32Array(40), { image, ...numbers, classes: 3 });
  const network = new StudentNet({ inFeatures: 12, hidden: [8, 5], classes: 3 });
  const logits = logitsOf(network, colours.slice(0, 40).inputs).data;
  const { data } = await run(exportOnnx(network, { normalisation: colours, embedNormalisation: true }), pixels, 12, 7);
  expect(relativeError(data, logits, 3)).toBeLessThan(CLOSE);
});

/**
 * The root mean square of the logits' errors if each weight's rounding error is independent and uniform in [-scale / 2,
 * scale / 2], of variance scale² / 12. Variances add; a layer multiplies them by the squares of its weights, ReLU
 * passes those of the elements above zero.
 */
function roundingError(whole: Initializers, int8: Initializers, inputs: Tensor): number {
  const names = [...whole.keys()].filter((name) => name.endsWith(".weight"));
  const stored = (from: Initializers, name: string, shape?: readonly number[]) => {
    const { raw, dims } = from.get(name) ?? { raw: new Uint8Array(0), dims: [] };
    return new Tensor(new Float32Array(raw.buffer), shape ?? dims);
  };
  let [x, variance] = [inputs, inputs.mul(0)];
  for (const [i, name] of names.entries()) {
    const weight = stored(whole, name);
    const scales = stored(int8, `${name}.scale`, [weight.shape[0], 1]);
    const energy = x.mul(x).sum(1).reshape([x.shape[0], 1]);
    variance = F.linear(variance, weight.mul(weight)).add(F.linear(energy, scales.mul(scales).mul(1 / 12)));
    x = F.linear(x, weight, stored(whole, name.replace("weight", "bias")));
    if (i === names.length - 1) break;
    x = F.relu(x);
    const active = new Tensor(
      x.data.map((value) => Number(value > 0)),
      x.shape,
    );
    variance = variance.mul(active);
  }
  return Math.sqrt(variance.data.reduce((sum, v) => sum + v, 0) / variance.size);
}
