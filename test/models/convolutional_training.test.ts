import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { augment, createNetwork, crossEntropy, ImageDataset, manualSeed, randint, SGD, step } from "../../src/index.js";

const LOSSES = JSON.parse(readFileSync(new URL("fixtures/training.json", import.meta.url), "utf8")) as number[];
/** PyTorch parts from itself by 2e-4 here if one weight is scaled by 1 + 1e-7; three times that. */
const NOISE = 6e-4;

test("50 steps of resnet8 on cropped and mirrored images are PyTorch's", () => {
  manualSeed(11);
  const pixels = Uint8Array.from(randint(0, 256, [64, 3, 32, 32]).data);
  const labels = randint(0, 10, [64]);
  const image = { channels: 3, height: 32, width: 32 };
  const data = augment(new ImageDataset(pixels, labels, { image, mean: 0.5, std: 0.25 }), { crop: 2, flip: 0.5 });
  manualSeed(12);
  const network = createNetwork("resnet8", { shape: [3, 32, 32], classes: 10 });
  const optimizer = new SGD(network.parameters(), { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 });
  manualSeed(13);
  for (const [i, expected] of LOSSES.entries()) {
    const value = step(() => {
      const batch = data.slice((i % 4) * 16, (i % 4) * 16 + 16);
      const loss = crossEntropy(network.forward(batch.inputs), batch.labels);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      return loss.item();
    });
    expect(Math.abs(value - expected) / expected, `step ${i}`).toBeLessThan(NOISE);
  }
});
