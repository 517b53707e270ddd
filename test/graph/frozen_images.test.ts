import { afterEach, describe, expect, test } from "vitest";
import { fuse } from "../../src/graph/fuse.js";
import { FrozenModel, traceModule } from "../../src/graph/index.js";
import { Modes } from "../../src/nn/modes.js";
import {
  createNetwork,
  Generator,
  getNumThreads,
  type Module,
  noGrad,
  randn,
  setNumThreads,
  withGenerator,
} from "./support.js";

const threads = getNumThreads();
afterEach(() => setNumThreads(threads));

const SHAPE = [3, 32, 32];
const NETWORKS = ["resnet8", "wrn_16_1", "vgg8", "MobileNetV2", "ShuffleNetV1", "ShuffleNetV2"];

/** With scales of both signs, shifts and running statistics that moved. */
const make = (name: string): Module =>
  withGenerator(new Generator(5), () => {
    const network = createNetwork(name, { shape: SHAPE, classes: 10 });
    for (const parameter of network.parameters()) {
      if (parameter.shape.length === 1) parameter.data.set(randn(parameter.shape).data);
    }
    noGrad(() => network.forward(randn([4, ...SHAPE])));
    return network;
  });
const inputs = withGenerator(new Generator(6), () => randn([3, ...SHAPE]));
const buffersOf = (network: Module) => network.namedBuffers().map(([key, { data }]) => [key, Array.from(data, Number)]);

describe("a frozen convolutional network gives the bits of its module's forward", () => {
  for (const name of NETWORKS) {
    test.each([false, true])(`${name}, training: %s`, (training) => {
      const live = make(name);
      const forward = () => noGrad(() => live.forward(inputs));
      setNumThreads(1);
      const output = new Modes([[live, training]]).run(forward);
      expect(output.data.every(Number.isFinite)).toBe(true);
      for (const count of [1, 2, 5]) {
        setNumThreads(count);
        const network = make(name);
        const frozen = FrozenModel.from(network, SHAPE, { training });
        expect(frozen.take(inputs, new Generator(1)).output.data).toEqual(output.data);
        frozen.release();
        expect(buffersOf(network)).toEqual(buffersOf(live));
      }
    });
  }
});

test("a convolution takes BatchNorm, the residual sum and ReLU along", () => {
  const opsOf = (name: string, training: boolean) => {
    const { nodes } = fuse(traceModule(createNetwork(name, { shape: SHAPE, classes: 10 }), SHAPE, { training }));
    return nodes.map(({ op }) => op.name).filter((op) => !/pool|reshape|mean|linear/i.test(op));
  };
  const conv = "conv2dNormAddRelu";
  // The first one, and two of each block with its shortcut.
  expect(opsOf("resnet8", false)).toEqual(Array(9).fill(conv));
  const norm = "batchNormAddRelu";
  const block = ["conv2d", norm, "conv2d", norm];
  const down = ["conv2d", norm, "conv2d", "conv2d", "batchNorm", norm];
  expect(opsOf("resnet8", true)).toEqual(["conv2d", norm, ...block, ...down, ...down]);
});
