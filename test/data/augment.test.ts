import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  type AugmentOptions,
  augment,
  DataLoader,
  type Dataset,
  ImageDataset,
  type ImageLayout,
  Subset,
  TensorDataset,
} from "../../src/data/index.js";
import { Generator, manualSeed, rand, withGenerator } from "../../src/tensor/random.js";
import { withArena } from "../../src/tensor/step.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { getNumThreads, setNumThreads } from "../../src/threads.js";
import { refusal } from "./support.js";

interface Fixture {
  image: ImageLayout;
  inputs: number[];
  cases: Record<string, { options: AugmentOptions; values: number[]; next: number }>;
}
/** What make_crop_fixture.py writes: a draw is the top and the left of the window, and 1 if it is mirrored. */
interface Cropped {
  seed: number;
  draws: [top: number, left: number, flipped: number][];
  corners: { image: number; draw: [number, number, number]; pixels: string }[];
  sha256: string;
  next: number;
}
const { image, inputs, cases } = JSON.parse(
  readFileSync(new URL("fixtures/augment.json", import.meta.url), "utf8"),
) as Fixture;
const [images, features] = [8, 60];

/** Values as a data set, of images where a layout is given. */
function dataOf(values: readonly number[], width: number, layout?: ImageLayout): Dataset {
  const rows = values.length / width;
  const labels = Int32Array.from({ length: rows }, (_, i) => i % 3);
  const tensors = new TensorDataset(new Tensor(Float32Array.from(values), [rows, width]), labels, { name: "squares" });
  return Object.assign(tensors, { image: layout });
}
const data = dataOf(inputs, features, image);
const all = Int32Array.from({ length: images }, (_, i) => i);
const valuesOf = (dataset: Dataset) => Array.from(dataset.slice(0, dataset.length).inputs.data);

describe("torchvision's images, and where it leaves the stream", () => {
  test.each(Object.entries(cases))("%s", (_, { options, values, next }) => {
    for (const take of [(of: Dataset) => of.slice(0, images), (of: Dataset) => of.batch(all)]) {
      manualSeed(5);
      const { inputs: changed, labels, indices } = take(augment(data, options));
      expect(changed.data).toEqual(Float32Array.from(values));
      expect([changed.shape, Array.from(labels), indices]).toEqual([[8, 60], [0, 1, 2, 0, 1, 2, 0, 1], all]);
      expect(rand([1]).item()).toBe(Math.fround(next));
    }
  });
});

describe("CIFAR's augmentation is torchvision's: RandomCrop(32, padding=4), RandomHorizontalFlip", () => {
  const { seed, draws, corners, sha256, next } = JSON.parse(
    readFileSync(new URL("fixtures/crop32.json", import.meta.url), "utf8"),
  ) as Cropped;
  const [channels, side] = [3, 32];
  const size = channels * side * side;
  const pixels = draws.map((_, i) =>
    Uint8Array.from({ length: size }, (_, at) => (at * 37 + Math.floor(at / 7) * 11 + i * 101) % 256),
  );
  const layout = { channels, height: side, width: side };
  const labels = new Int32Array(draws.length);
  const bytes = Uint8Array.from(pixels.flatMap((one) => [...one]));
  const set = new ImageDataset(bytes, labels, { image: layout, mean: 0, std: 1 });
  manualSeed(seed);
  const changed = Uint8Array.from(valuesOf(augment(set, { crop: 4, flip: 0.5 })), (x) => Math.round(x * 255));
  const after = rand([1]).item();

  test("every pixel of 1000 images, and where the stream is left", () => {
    expect(createHash("sha256").update(changed).digest("hex")).toBe(sha256);
    expect(after).toBe(Math.fround(next));
  });

  test.each(corners)("at the corner $draw: image $image", ({ image, draw, pixels: expected }) => {
    expect(draws[image]).toEqual(draw);
    const ours = changed.subarray(image * size, (image + 1) * size);
    expect(Buffer.from(ours).toString("base64")).toBe(expected);
  });

  test("each image is where torchvision cut it out, black outside", () => {
    for (const [i, [top, left, flipped]] of draws.entries()) {
      const at = Math.floor(i * 7919) % size;
      const [channel, y, x] = [Math.floor(at / side ** 2), Math.floor(at / side) % side, at % side];
      const [row, column] = [y + top - 4, (flipped === 1 ? side - 1 - x : x) + left - 4];
      const isInside = row >= 0 && row < side && column >= 0 && column < side;
      const source = isInside ? pixels[i][(channel * side + row) * side + column] : 0;
      expect(changed[i * size + at], `image ${i}`).toBe(source);
    }
  });
});

describe("each change alone", () => {
  const values = Array.from({ length: 9 }, (_, i) => i + 1);
  const square = { channels: 1, height: 3, width: 3, mean: [0.5], std: [0.5] };
  const once = dataOf(Array(200).fill(values).flat(), 9, square);
  /** The image moved by whole pixels, -1 (what black is) where it has left. */
  const moved = (down: number, right: number) =>
    values.map((_, at) => {
      const [y, x] = [Math.floor(at / 3) + down, (at % 3) + right];
      return y < 0 || y > 2 || x < 0 || x > 2 ? -1 : (values[y * 3 + x] as number);
    });
  const seen = (options: AugmentOptions) => {
    manualSeed(1);
    const flat = valuesOf(augment(once, options));
    return new Set(Array.from({ length: 200 }, (_, i) => flat.slice(9 * i, 9 * i + 9).join()));
  };

  test("a shift of one makes nine images, as crop does", () => {
    const moves = [-1, 0, 1].flatMap((down) => [-1, 0, 1].map((right) => moved(down, right).join()));
    expect(seen({ shift: 1 })).toEqual(new Set(moves));
    expect(seen({ crop: 1 })).toEqual(seen({ shift: 1 }));
  });

  test("a mirror makes two, or one where it is certain", () => {
    const mirrored = "3,2,1,6,5,4,9,8,7";
    expect(seen({ flip: 0.5 })).toEqual(new Set([values.join(), mirrored]));
    expect(seen({ flip: 1 })).toEqual(new Set([mirrored]));
  });

  test("noise has its deviation and no mean, and needs no images", () => {
    manualSeed(2);
    const noisy = valuesOf(augment(dataOf(Array(20_000).fill(3), 10), { noise: 0.5 })).map((x) => x - 3);
    const mean = noisy.reduce((a, b) => a + b) / noisy.length;
    const deviation = Math.sqrt(noisy.reduce((sum, x) => sum + x * x, 0) / noisy.length);
    // Four standard errors.
    expect(Math.abs(mean)).toBeLessThan((4 * 0.5) / Math.sqrt(noisy.length));
    expect(deviation).toBeCloseTo(0.5, 2);
  });
});

describe("the data set", () => {
  const changed = augment(data, { shift: 1 });

  test("says that it changes, and passes on the rest", () => {
    const { name, length, classes, augmented, labels } = changed;
    expect([name, length, changed.features, classes, augmented]).toEqual(["squares", 8, 60, 3, true]);
    expect([changed.image, labels]).toEqual([image, data.labels]);
    expect(new Subset(changed, all).augmented).toBe(true);
  });

  test("leaves the one that it is made of as it was", () => {
    valuesOf(augment(data, { shift: 1, flip: 0.5, noise: 1 }));
    expect(valuesOf(data)).toEqual(inputs.map(Math.fround));
  });

  test("is another each time, and the same from the same stream at any number of threads", () => {
    const draw = () => withGenerator(new Generator(9), () => [valuesOf(changed), valuesOf(changed)]);
    const before = getNumThreads();
    const [one, two] = [1, 2].map((threads) => {
      setNumThreads(threads);
      return draw();
    });
    setNumThreads(before);
    expect(one).toEqual(two);
    expect(one?.[0]).not.toEqual(one?.[1]);
  });

  test("an epoch's images follow from the seed", () => {
    const epoch = () => {
      manualSeed(3);
      return [...new DataLoader(changed, { batchSize: 3, shuffle: true })].map(({ inputs }) => Array.from(inputs.data));
    };
    expect(epoch()).toEqual(epoch());
  });

  test("takes the memory of the step before", () => {
    const step = () => withArena(() => changed.batch(all).inputs.data);
    const first = new Set([step(), step()]);
    expect(first.has(step())).toBe(true);
  });

  test("has a fingerprint of its own, for each of the options", () => {
    const made = [{ shift: 1 }, { shift: 2 }, { flip: 1 }, { noise: 1 }, { shift: 1, flip: 1 }];
    const marks = made.map((options) => augment(data, options).fingerprint());
    expect(new Set([...marks, data.fingerprint()]).size).toBe(6);
    expect(changed.fingerprint()).toBe(marks[0]);
  });
});

describe("refused", () => {
  const rows = dataOf([1, 2, 3, 4], 2);
  const wrong = dataOf([1, 2, 3, 4], 4, { ...image, channels: 1, height: 1, width: 3 });
  const both = "shift, crop: expected one of the two, which are the same, got both";
  const none = "augment: expected shift, crop, flip, noise or mixup above 0, got none";
  const words = "dataset: expected images for shift, crop and flip; only noise and mixup suit any data";
  const chance = "flip: expected a number from 0 to 1, got";
  const deviation = "noise: expected a standard deviation of at least 0, got";
  test.each<[string, () => unknown, string]>([
    ["BAD_ARGUMENT", () => augment(null as never, { flip: 1 }), "dataset: expected a Dataset, got null"],
    ["BAD_ARGUMENT", () => augment(data, {}), none],
    ["BAD_ARGUMENT", () => augment(data, { shift: 0, noise: 0 }), none],
    ["BAD_ARGUMENT", () => augment(data, { shift: 1, crop: 1 }), both],
    ["BAD_ARGUMENT", () => augment(data, { shift: 5 }), "shift: expected a whole number from 0 to 4, got 5"],
    ["BAD_ARGUMENT", () => augment(data, { crop: 0.5 }), "crop: expected a whole number from 0 to 4, got 0.5"],
    ["BAD_ARGUMENT", () => augment(data, { flip: 1.5 }), `${chance} 1.5`],
    ["BAD_ARGUMENT", () => augment(data, { flip: Number.NaN }), `${chance} NaN`],
    ["BAD_ARGUMENT", () => augment(data, { noise: -1 }), `${deviation} -1`],
    ["BAD_ARGUMENT", () => augment(data, { noise: 1e39 }), `${deviation} 1e+39`],
    ["BAD_ARGUMENT", () => augment(data, { noise: "1" as never }), `${deviation} "1"`],
    ["BAD_ARGUMENT", () => augment(rows, { flip: 1 }), words],
    ["BAD_ARGUMENT", () => augment(wrong, { flip: 1 }), "dataset: expected images of 1 x 1 x 3, got 4 values"],
  ])("%s %#", async (code, body, text) => {
    expect(await refusal(code, body)).toBe(text);
  });
});
