import { expect, test } from "vitest";
import { exportedGraph } from "../../src/export/index.js";
import { GraphModule } from "../../src/graph/index.js";
import {
  CifarResNet,
  createNetwork,
  evaluate,
  exportOnnx,
  ImageDataset,
  manualSeed,
  randn,
  tensor,
} from "../../src/index.js";
import { logitsOf, relativeError, run } from "./support.js";

const SHAPE = [3, 32, 32];

test.each(["resnet8", "vgg8", "MobileNetV2", "ShuffleNetV2", "lenet5"])(
  "%s in ONNX Runtime gives its logits in eval mode",
  async (name) => {
    manualSeed(5);
    const network = createNetwork(name, { shape: SHAPE, classes: 10 });
    // Moves the running statistics.
    for (let i = 0; i < 3; i++) network.train().forward(randn([4, ...SHAPE]));
    const x = randn([3, ...SHAPE]);
    const { data, dims } = await run(exportOnnx(network.eval(), { features: SHAPE }), x.data, SHAPE, 2);
    expect(dims.at(-1)).toBe(10);
    expect(relativeError(data, logitsOf(network, x).data, 10)).toBeLessThan(1e-4);
  },
);

test("pixels in bytes, with a mean and a deviation for each channel", async () => {
  const network = createNetwork("resnet8", { shape: SHAPE, classes: 10 });
  const normalisation = { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] };
  const pixels = Uint8Array.from({ length: 2 * 3 * 32 * 32 }, (_, i) => (i * 37) % 256);
  const values = Float32Array.from(pixels, (pixel, i) => {
    const channel = Math.floor(i / 1024) % 3;
    return (pixel / 255 - (normalisation.mean[channel] ?? 0)) / (normalisation.std[channel] ?? 1);
  });
  const file = exportOnnx(network, { features: SHAPE, normalisation, embedNormalisation: true });
  const { data } = await run(file, pixels, SHAPE, 2);
  const expected = logitsOf(network, tensor(values, { shape: [2, ...SHAPE] })).data;
  expect(relativeError(data, expected, 10)).toBeLessThan(1e-4);
});

test("what an exported file computes takes images as the network does", () => {
  const pixels = Uint8Array.from({ length: 12 * 3 * 8 * 8 }, (_, i) => (i * i * 7) % 256);
  const image = { channels: 3, height: 8, width: 8 };
  const labels = Int32Array.from({ length: 12 }, (_, i) => i % 10);
  const data = new ImageDataset(pixels, labels, { image, mean: 0.5, std: 0.25 });
  const network = createNetwork("resnet8", { shape: [3, 8, 8], classes: 10 });
  const { accuracy, loss } = evaluate(network, data);
  expect(evaluate(new GraphModule(exportedGraph(network)), data)).toMatchObject({
    accuracy,
    loss: expect.closeTo(loss, 4),
  });
});

test("a network that reads images needs their shape", () => {
  expect(() => exportOnnx(new CifarResNet({ blocks: 1 }))).toThrow(
    "features: needed for a network for images: [channels, height, width]",
  );
  const network = createNetwork("resnet8", { shape: SHAPE, classes: 10 });
  expect(exportOnnx(network)).toEqual(exportOnnx(network, { features: SHAPE }));
});

test("8-bit weights: a quarter of the file, logits of the weights that were rounded", async () => {
  manualSeed(6);
  const network = createNetwork("resnet8", { shape: SHAPE, classes: 10 });
  for (let i = 0; i < 3; i++) network.train().forward(randn([4, ...SHAPE]));
  const [whole, rounded] = [{}, { quantize: "int8" } as const].map((options) =>
    exportOnnx(network.eval(), { features: SHAPE, ...options }),
  );
  expect(rounded.length).toBeLessThan(0.35 * whole.length);
  const x = randn([3, ...SHAPE]);
  const { data } = await run(rounded, x.data, SHAPE, 2);
  const graph = new GraphModule(exportedGraph(network, { features: SHAPE, quantize: "int8" }));
  expect(relativeError(data, logitsOf(graph, x).data, 10)).toBeLessThan(1e-4);
  const error = relativeError(data, logitsOf(network, x).data, 10);
  expect([error > 1e-4, error < 0.1]).toEqual([true, true]);
});
