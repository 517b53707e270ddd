import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  augment,
  Conv2d,
  type Dataset,
  evaluate,
  Flatten,
  getNumThreads,
  ImageDataset,
  Linear,
  Module,
  manualSeed,
  openStreamed,
  predict,
  ReLU,
  Sequential,
  setNumThreads,
  splitDataset,
  type Tensor,
  trainTeacher,
} from "../../src/index.js";
import { idx } from "../data/support.js";
import { failure, newFolders, temporaryFolder } from "../support.js";
import { SAMPLES, SIZES, start } from "./support.js";

const folder = temporaryFolder();
const newRun = newFolders(folder);

const { inFeatures, classes } = SIZES;
const pixels = Uint8Array.from({ length: SAMPLES * inFeatures }, (_, i) => (i * i * 13 + 7 * i) % 256);
const labels = Int32Array.from({ length: SAMPLES }, (_, i) => i % classes);
const image = { channels: 1, height: 2, width: 3 };
const normalisation = { mean: 0.5, std: 0.25 };
const imageData = (): Dataset => new ImageDataset(pixels, labels, { image, classes, ...normalisation });

async function streamed(): Promise<Dataset> {
  const [inputs, classesFile] = [join(folder, "inputs"), join(folder, "labels")];
  writeFileSync(inputs, idx([SAMPLES, 2, 3], pixels));
  writeFileSync(classesFile, idx([SAMPLES], labels));
  const options = { chunkBytes: 7 * inFeatures, classes, ...normalisation };
  return openStreamed({ inputs, labels: classesFile }, options);
}

const KINDS: [string, () => Promise<Dataset>][] = [
  ["augmented", async () => augment(imageData(), { shift: 1, flip: 0.5, noise: 0.1 })],
  ["streamed", streamed],
  [
    "split off, streamed and augmented",
    async () => augment(splitDataset(await streamed(), { count: 9 }).train, { crop: 1 }),
  ],
];

describe.each(KINDS)("%s data", (_, open) => {
  test.each([2, 4, 7])("an interrupted run ends as one that was not, stopped after step %i", async (steps) => {
    const data = await open();
    const alone = await start({ data }).end;
    const [out, controller] = [newRun(), new AbortController()];
    const onStep = ({ step }: { step: number }) => step === steps && controller.abort();
    await failure(start({ data, out, signal: controller.signal, onStep }).done, "ABORTED");
    expect(await start({ data: await open(), out, resume: true }).end).toEqual(alone);
  });

  test("the same seed gives the same bits at any number of threads", async () => {
    const before = getNumThreads();
    const endings = [];
    for (const threads of [1, 3]) {
      setNumThreads(threads);
      endings.push(await start({ data: await open() }).end);
    }
    setNumThreads(before);
    expect(endings[0]).toEqual(endings[1]);
  });
});

test("a run on streamed data has the figures of one in memory, in the same order", async () => {
  const data = await streamed();
  const inOrder = (of: Dataset) => start({ data: of, shuffle: false }).end;
  expect(await inOrder(data)).toEqual(await inOrder(imageData()));
});

test("a teacher's logits for augmented data are not cached, and the run says why", async () => {
  const notes: string[] = [];
  const data = augment(imageData(), { noise: 0.1 });
  await start({ data, onNote: (text) => notes.push(text) }).done;
  expect(notes).toContain("teacher logits not cached: the data are augmented at random");
  const error = await failure(start({ data, teacherCache: true }).done, "BAD_ARGUMENT");
  expect(error.message).toBe("teacherCache: the data are augmented at random");
});

test("the teacher makes one forward pass for each row of streamed data", async () => {
  const ofCache = await start({ data: await streamed(), teacherCache: true }).end;
  expect(ofCache).toEqual(await start({ data: await streamed(), teacherCache: false }).end);
});

/** The same layers, as properties of a class, inside of a Sequential of its own, and as one Sequential. */
const layers = () => [new Conv2d(1, 2, 2), new ReLU(), new Flatten(), new Linear(4, classes)] as const;
class Direct extends Module {
  conv: Conv2d;
  relu: ReLU;
  flatten: Flatten;
  fc: Linear;
  constructor() {
    super();
    [this.conv, this.relu, this.flatten, this.fc] = layers();
  }
  override forward(x: Tensor): Tensor {
    return this.fc.forward(this.flatten.forward(this.relu.forward(this.conv.forward(x))));
  }
}
class Features extends Module {
  features: Sequential;
  classifier: Linear;
  constructor() {
    super();
    const [conv, relu, flatten, fc] = layers();
    [this.features, this.classifier] = [new Sequential(conv, relu, flatten), fc];
  }
  override forward(x: Tensor): Tensor {
    return this.classifier.forward(this.features.forward(x));
  }
}

test("convolutions inside of a Sequential are given images, as those of a class", async () => {
  const ends = [];
  for (const make of [() => new Direct(), () => new Features(), () => new Sequential(...layers())]) {
    manualSeed(3);
    const model = make();
    const data = imageData();
    const { history } = await trainTeacher({ model, data, epochs: 2, batchSize: 4 });
    const { loss } = evaluate(model, data);
    ends.push({
      weights: model.parameters().map(({ data: values }) => values),
      losses: history.map(({ metrics }) => metrics.loss),
      loss,
      predictions: predict(model, data.slice(0, 3).inputs),
    });
  }
  expect(ends[1]).toEqual(ends[0]);
  expect(ends[2]).toEqual(ends[0]);
});
