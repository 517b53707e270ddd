import { beforeAll, describe, expect, test } from "vitest";
import { exportedGraph, GraphNetwork } from "../../src/export/index.js";
import { evaluate, exportOnnx, ImageDataset, manualSeed, StudentNet, TeacherNet } from "../../src/index.js";
import { accuracy, answers, images, relativeError, run, teach } from "./support.js";

manualSeed(0);
const { train, test: tested, isReal } = await images();
const CLOSE = 1e-5;
const { inputs, labels } = tested.slice(0, 10_000);

describe.each([
  ["TeacherNet", () => new TeacherNet(), 20],
  ["StudentNet", () => new StudentNet(), 100],
] as const)("%s in ONNX Runtime", (_, make, steps) => {
  const network = make();
  let logits: Float32Array;
  beforeAll(() => {
    teach(network, train, steps);
    logits = answers(network, inputs).data;
  });

  test.each([1, 7, 1000])("answers as ours to 1e-5 of a row's size for 10,000 images, %i at a time", async (batch) => {
    const { data } = await run(exportOnnx(network), inputs.data, 784, batch);
    expect(relativeError(data, logits, 10)).toBeLessThan(CLOSE);
  });

  test("with the normalisation inside it takes the pixels", async () => {
    const bytes = exportOnnx(network, { normalisation: tested, embedNormalisation: true });
    const { data } = await run(bytes, tested.pixels, 784, 1000);
    expect(relativeError(data, logits, 10)).toBeLessThan(CLOSE);
  });

  test("in 8 bits it answers as the same weights do in ours, whatever the other rows are", async () => {
    const bytes = exportOnnx(network, { quantize: "int8" });
    const ours = answers(new GraphNetwork(exportedGraph(network, { quantize: "int8" })), inputs).data;
    const { data } = await run(bytes, inputs.data, 784, 1000);
    expect(relativeError(data, ours, 10)).toBeLessThan(CLOSE);
    const alone = await run(bytes, inputs.slice(0, 100).data, 784, 1);
    expect(relativeError(alone.data, ours.subarray(0, 1000), 10)).toBeLessThan(CLOSE);
  });

  test("8 bits cost less than 2% of a row's size in each logit, and a quarter of the bytes", async () => {
    const [whole, bytes] = [exportOnnx(network), exportOnnx(network, { quantize: "int8" })];
    const { data } = await run(bytes, inputs.data, 784, 1000);
    expect(relativeError(data, logits, 10)).toBeLessThan(0.02);
    expect(bytes.length / whole.length).toBeLessThan(0.26);
  });

  test.skipIf(!isReal)("8 bits cost less than half a point of accuracy", async () => {
    const before = evaluate(network, tested as ImageDataset).accuracy;
    const { data } = await run(exportOnnx(network, { quantize: "int8" }), inputs.data, 784, 1000);
    expect(accuracy(logits, labels.data)).toBe(before);
    expect(before).toBeGreaterThan(0.6);
    expect(Math.abs(before - accuracy(data, labels.data))).toBeLessThan(0.005);
  });
});

test("colours have a normalisation each", async () => {
  const image = { channels: 3, height: 2, width: 2 };
  const numbers = { mean: [0.5, 0.25, 0.125], std: [0.5, 0.2, 0.1] };
  const pixels = Uint8Array.from({ length: 40 * 12 }, (_, i) => (i * 37) % 256);
  const colours = new ImageDataset(pixels, new Int32Array(40), { image, ...numbers, classes: 3 });
  const network = new StudentNet({ inFeatures: 12, hidden: [8, 5], classes: 3 });
  const logits = answers(network, colours.slice(0, 40).inputs).data;
  const { data } = await run(exportOnnx(network, { normalisation: colours, embedNormalisation: true }), pixels, 12, 7);
  expect(relativeError(data, logits, 3)).toBeLessThan(CLOSE);
});
