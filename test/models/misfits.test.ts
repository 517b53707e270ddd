import { describe, expect, test, vi } from "vitest";
import {
  Conv2d,
  createNetwork,
  type DistilleryError,
  Ensemble,
  F,
  ImageDataset,
  Linear,
  MODELS,
  Module,
  networkFrom,
  randint,
  type Tensor,
  trainTeacher,
  type Vgg,
  zeros,
} from "../../src/index.js";

/** The error of what can't be done, one line. */
async function refusal(body: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await body();
  } catch (error) {
    const { code, message } = error as DistilleryError;
    expect(message).not.toContain("\n");
    return { code, message };
  }
  throw new Error("nothing was refused");
}

/** A network of one's own that starts with such a convolution. */
class Own extends Module {
  constructor(readonly conv: Conv2d) {
    super();
  }

  override forward(x: Tensor): Tensor {
    return F.adaptiveAvgPool2d(this.conv.forward(x), 1).flatten(1);
  }
}

function images(side: number, channels = 3): ImageDataset {
  const pixels = Uint8Array.from(randint(0, 256, [8, channels, side, side]).data);
  const image = { channels, height: side, width: side };
  return new ImageDataset(pixels, randint(0, 4, [8]), { image, mean: 0.5, std: 0.25 });
}

const train = (model: Module, side: number) => () => trainTeacher({ model, data: images(side), epochs: 1 });

describe("images that a network can't take are refused in one line with both shapes", () => {
  // lenet5 is made for a size, vgg8 halves it three times; the others take any.
  test.each([
    ["lenet5", 4, "lenet5 takes images [channels, height, width]", "got samples of [3, 4, 4]"],
    ["vgg8", 7, "vgg8 takes images [channels, height, width] of at least 8 x 8 pixels", "got samples of [3, 7, 7]"],
    ["vgg19", 7, "vgg19 takes images [channels, height, width] of at least 8 x 8 pixels", "got samples of [3, 7, 7]"],
  ])("%s of %d pixels", async (name, side, ...texts) => {
    const { code, message } = await refusal(() => createNetwork(name, { shape: [3, side, side], classes: 4 }));
    expect(code).toBe("BAD_ARGUMENT");
    for (const text of texts) expect(message).toContain(text);
  });

  test("every network of images takes one pixel, or says how many it needs", async () => {
    for (const { name } of MODELS.entries.filter(({ size }) => size?.shape?.length !== 3 && size !== undefined)) {
      const shape = [3, 1, 1];
      try {
        createNetwork(name, { shape, classes: 4 }).eval().forward(images(1).slice(0, 2).inputs);
      } catch (error) {
        expect((error as Error).message, name).toMatch(/^network: \w+ takes images .*got samples of \[3, 1, 1\]$/);
      }
    }
  });

  // Images 64 high have a fourth maximum, which needs a width of 16: below that there are three, as of any other height.
  test.each([
    [15, 8],
    [16, 4],
  ])("vgg8 takes images of 64 x %d pixels: its last block reads %d rows", (width, rows) => {
    const network = createNetwork("vgg8", { shape: [1, 64, width], classes: 4 }).eval() as Vgg;
    const read = vi.spyOn(network.block4, "forward");
    expect(network.forward(zeros([1, 1, 64, width])).shape).toEqual([1, 4]);
    expect(read.mock.calls[0][0].shape).toEqual([1, 512, rows, 1]);
  });

  test("a network made for another size than the data's", async () => {
    const lenet = createNetwork("lenet5", { shape: [3, 28, 28], classes: 4 });
    const { code, message } = await refusal(train(lenet, 32));
    expect(code).toBe("SHAPE_MISMATCH");
    expect(message).toContain("expected shape [*, 400], got [8, 576]");
  });

  test("a network made for other channels than the data's", async () => {
    const resnet = createNetwork("resnet8", { shape: [1, 8, 8], classes: 4 });
    const { code, message } = await refusal(train(resnet, 8));
    expect(code).toBe("SHAPE_MISMATCH");
    expect(message).toContain("expected x of 1 channels in 1 group, got x [8, 3, 8, 8] and weight [16, 1, 3, 3]");
  });
});

test("a kernel larger than its padded input, in a network of one's own", async () => {
  const { code, message } = await refusal(train(new Own(new Conv2d(3, 4, 7, { padding: 1 })), 4));
  expect(code).toBe("SHAPE_MISMATCH");
  expect(message).toContain("covers [7, 7] of [6, 6], got x [8, 3, 4, 4] and weight [4, 3, 7, 7]");
});

test("groups that do not divide the channels", async () => {
  const made = await refusal(() => new Own(new Conv2d(3, 4, 3, { groups: 2 })));
  expect(made).toEqual({
    code: "BAD_ARGUMENT",
    message: "groups: expected a number that divides inChannels (3) and outChannels (4), got 2",
  });
  const { code, message } = await refusal(train(new Own(new Conv2d(4, 4, 3, { groups: 2 })), 4));
  expect(code).toBe("SHAPE_MISMATCH");
  expect(message).toContain(
    "expected channels and outputs that 2 groups divide, got x [8, 3, 4, 4] and weight [4, 2, 3, 3]",
  );
});

test("a checkpoint of another width, read as a network", async () => {
  const shape = [3, 8, 8];
  const state = createNetwork("resnet8", { shape, classes: 4 }).stateDict();
  const { code, message } = await refusal(() => networkFrom(state, { network: "resnet8x4()", shape }));
  expect(code).toBe("STATE_DICT_MISMATCH");
  expect(message).toContain("conv1.weight is [16, 3, 3, 3], not [32, 3, 3, 3]");
});

test("a network of an ensemble that is async is refused, and what it throws is nobody's", async () => {
  class Late extends Module {
    override forward(): Tensor {
      return Promise.reject(new Error("late")) as never;
    }
  }
  const ensemble = new Ensemble([new Late(), new Linear(3, 2)]);
  expect(() => ensemble.forward(zeros([1, 3]))).toThrow(
    "networks[0]: forward: expected a Tensor, got a promise: forward can't be async",
  );
  await new Promise((resolve) => setImmediate(resolve));
});
