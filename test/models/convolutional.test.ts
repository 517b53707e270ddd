import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createNetwork, manualSeed, networkFrom, randn } from "../../src/index.js";
import { networkSpecOf } from "../../src/models/create_network.js";
import { MODELS } from "../../src/models/index.js";

interface Expected {
  /** Of the images, in pixels. */
  side: number;
  parameters: number;
  /** SHA-256 of the state dict's keys, a line each. */
  keys: string;
  /** Four logits of each of three images. */
  train: number[];
  eval: number[];
}

const EXPECTED = JSON.parse(readFileSync(new URL("fixtures/networks.json", import.meta.url), "utf8")) as Record<
  string,
  Expected
>;

describe("the authors' networks in PyTorch, with the weights that a seed draws", () => {
  test.each(Object.entries(EXPECTED))(
    "%s: keys, draws, logits in train mode and then in eval mode",
    (name, expected) => {
      manualSeed(3);
      const network = createNetwork(name, { shape: [3, expected.side, expected.side], classes: 100 });
      const x = randn([3, 3, expected.side, expected.side]);
      expect(network.parameterCount()).toBe(expected.parameters);
      const keys = Object.keys(network.stateDict()).join("\n");
      expect(createHash("sha256").update(keys).digest("hex")).toBe(expected.keys);
      for (const mode of ["train", "eval"] as const) {
        const { data } = network.train(mode === "train").forward(x);
        // Deep networks that were never trained give logits of thousands in eval mode.
        const size = Math.max(1, ...expected[mode].map(Math.abs));
        for (const [i, value] of expected[mode].entries()) {
          const logit = data[Math.floor(i / 4) * 100 + (i % 4)];
          expect(Math.abs(logit - value) / size, `${mode} ${i}`).toBeLessThan(1e-4);
        }
      }
    },
  );

  test("are there for every network of images", () => {
    const isOfImages = (name: string) => {
      try {
        createNetwork(name, { shape: [784], classes: 10 });
        return false;
      } catch (error) {
        return /takes images/.test(String(error));
      }
    };
    const ofImages = MODELS.names.filter(isOfImages);
    expect(ofImages.length).toBeGreaterThan(10);
    expect(ofImages.filter((name) => !(name in EXPECTED))).toEqual([]);
  });

  test("images that a network can't take: both shapes in one line", () => {
    const make = (name: string, shape: readonly number[]) => () => createNetwork(name, { shape, classes: 10 });
    expect(make("resnet20", [784])).toThrow(
      "network: resnet20 takes images [channels, height, width], got samples of [784]",
    );
    expect(make("vgg8", [3, 7, 32])).toThrow(
      "network: vgg8 takes images [channels, height, width] of at least 8 x 8 pixels, got samples of [3, 7, 32]",
    );
  });
});

test("a state dict of PyTorch says no size of images: that of the data, or a shape, is needed", () => {
  const network = createNetwork("resnet8", { shape: [3, 16, 16], classes: 7 });
  const state = network.stateDict();
  expect(() => networkFrom(state, { network: "resnet8()" })).toThrow("imageShape: needed");
  const read = networkFrom(state, { network: "resnet8()", imageShape: [3, 16, 16] });
  const sized = networkFrom(state, { network: "resnet8()", imageShape: [16, 16] });
  expect(networkSpecOf(sized)).toEqual({ network: "resnet8", shape: [3, 16, 16], classes: 7 });
  const x = randn([2, 3, 16, 16]);
  expect(read.eval().forward(x).data).toEqual(network.eval().forward(x).data);
  expect(() => networkFrom(state, { network: "resnet14()", shape: [3, 16, 16] })).toThrow("do not fit");
});
