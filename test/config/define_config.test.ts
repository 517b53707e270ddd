import { describe, expect, test } from "vitest";
import { type DistillConfig, defineConfig } from "../../src/config/index.js";
import { refusal } from "../data/support.js";

const distilled = (config: unknown) => defineConfig("distill", config as DistillConfig);
const refused = (config: unknown) => refusal("BAD_CONFIG", () => distilled(config));

describe("defaults", () => {
  test("of synthetic data are the script's", () => {
    expect(distilled({})).toEqual({
      student: "student(hidden=[512, 256])",
      teacherNetwork: "teacher(hidden=[2048, 1024, 512])",
      data: "synthetic",
      testFraction: 0.2,
      splitSeed: 0,
      seed: 0,
      validation: 0,
      standardize: true,
      stream: false,
      exifOrientation: false,
      epochs: 150,
      batchSize: 64,
      shuffle: false,
      dropLast: false,
      lr: 6e-4,
      schedule: "one-cycle",
      accumulate: 1,
      shards: 1,
      batchNorm: "shard",
      precision: "float32",
      weightDecay: 1e-5,
      maxGradNorm: 1,
      labelSmoothing: 0,
      optimizer: "adamw",
      ema: null,
      patience: null,
      temperature: 3.5,
      alpha: 0.6,
      teacherMode: "train",
      forceThreads: false,
      keepCheckpoints: 2,
      tensorboard: false,
      csv: false,
      report: true,
      logFile: false,
      out: "runs/distill",
    });
  });

  test("of other data: a validation set, a new order each epoch, a teacher in eval mode", () => {
    const { validation, shuffle, teacherMode } = distilled({ data: "rows", teacher: "teacher.pth" });
    expect({ validation, shuffle, teacherMode }).toEqual({ validation: 0.1, shuffle: true, teacherMode: "eval" });
  });

  test("give way to what is given", () => {
    const given = { data: "rows", teacher: "t.pth", validation: 0, shuffle: false, teacherMode: "train" } as const;
    expect(distilled({ ...given, checkpointEvery: { steps: 5 }, augment: { flip: 0.5 } })).toMatchObject({
      ...given,
      checkpointEvery: { steps: 5 },
      augment: { flip: 0.5 },
    });
  });

  test("of train-teacher have no teacher", () => {
    const config = defineConfig("train-teacher", { data: "rows" });
    expect(config).toMatchObject({ out: "runs/teacher", validation: 0.1, shuffle: true });
    expect(Object.keys(config).filter((name) => /teacher(?!Network)|alpha|temperature/.test(name))).toEqual([]);
  });
});

describe("mistakes", () => {
  test("all of them, each with its path", async () => {
    const config = { epochs: 0.5, lr: "fast", augment: { flip: 2, shift: -1 }, checkpointEvery: { steps: 0 } };
    expect((await refused({ ...config, data: "", seed: -1 })).split("; ")).toEqual([
      'data: expected a data set\'s name, folder or file, got ""',
      "seed: expected a whole number of at least 0, got -1",
      "augment.shift: expected a whole number of at least 0, got -1",
      "augment.flip: expected a number from 0 to 1, got 2",
      "epochs: expected a whole number of at least 1, got 0.5",
      'lr: expected a number above 0, got "fast"',
      "checkpointEvery.steps: expected a whole number of at least 1, got 0",
    ]);
  });

  test.each([
    [{ batch_size: 32 }, "batch_size: unknown option, did you mean batchSize?"],
    [{ Temperature: 2 }, "Temperature: unknown option, did you mean temperature?"],
    [{ augment: { flipp: 0.5 } }, "augment.flipp: unknown option, did you mean flip?"],
    [{ resume: true }, "resume: unknown option"],
    [{ loss: "kdd" }, /^loss: unknown loss "kdd", did you mean kd\?/],
    [{ student: { name: "mlp", hiden: [4] } }, /^student: mlp: hiden: unknown argument, did you mean hidden\?/],
    [
      { loss: [{ name: "kd" }, { name: "kd", weight: "1" }] },
      "loss: [1].weight: expected a number, or two: [first epoch's, last epoch's], got \"1\"",
    ],
    [{ constructor: 1 }, "constructor: unknown option"],
    [JSON.parse('{"__proto__": 1}'), "__proto__: unknown option"],
    [{ x: 1, yy: 2 }, "x: unknown option; yy: unknown option"],
    [{ checkpointEvery: {} }, "checkpointEvery.steps: needed"],
    [{ checkpointEvery: null }, "checkpointEvery: expected a number of epochs, or { steps: 100 }, got null"],
    [{ checkpointEvery: { epochs: 2, steps: 3 } }, "checkpointEvery.epochs: unknown option"],
  ])("a wrong name: %j", async (config, text) => {
    expect(await refused(config)).toEqual(text instanceof RegExp ? expect.stringMatching(text) : text);
  });

  test.each<[object, string]>([
    [{ data: "rows" }, "teacher: needed with data rows; `distillery train-teacher` makes one"],
    [{ validation: 0.1 }, "validation: expected 0 with the synthetic data, which are noise"],
    [{ validation: 1 }, "validation: expected a number from 0 to below 1, got 1"],
    [{ patience: 3 }, "patience: needs a validation set, which tells which epoch is better"],
    [
      { augment: { shift: 2 } },
      "augment: shift, crop and flip need images, which the synthetic data are not: leave them out",
    ],
    [{ splitSeed: 5 }, "splitSeed: nothing is held out, so there is nothing to split: leave it out"],
    [{ stream: true }, "stream: the synthetic data are not read from files: leave it out"],
    [{ testFraction: 0.2 }, "testFraction: expected 0 with the synthetic data, which are noise"],
    [
      { generations: 2, teacherNetwork: "mlp" },
      "teacherNetwork: names the network of a teacher's file, and no teacher is given: give one, or leave this option out",
    ],
    [{ alpha: 0, temperature: 2 }, "temperature: with alpha 0 the loss has no soft targets: leave it out"],
    [
      { data: "rows", teacher: "t.pth", alpha: 0, calibrateTeacher: true },
      "calibrateTeacher: with alpha 0 the loss has no soft targets: leave it out",
    ],
    [
      { data: "rows", teacher: "t.pth", alpha: 0, teacherCache: true },
      "teacherCache: with alpha 0 the loss has no soft targets: leave it out",
    ],
    [{ augment: {} }, "augment: expected shift, crop, flip, noise or mixup"],
    [
      { data: "rows", teacher: "t.pth", augment: { shift: 2, crop: 2 } },
      "augment: expected one of shift and crop, which are the same, got both",
    ],
    [{ schedule: "cosine", gamma: 0.1 }, "gamma: the schedule cosine has no such option: it has end, warmupSteps"],
    [
      { warmupSteps: 5 },
      "warmupSteps: the schedule one-cycle has no such option: it has pctStart, annealStrategy, divFactor, finalDivFactor, threePhase, cycleMomentum",
    ],
    [
      { schedule: "cosine(warmupSteps=3)", warmupSteps: 0 },
      "warmupSteps: the schedule says warmupSteps=3: leave one of the two out",
    ],
    [
      { loss: "kd", temperature: 4 },
      "temperature: has no effect beside a loss: write it into the loss, as kd(temperature=4)",
    ],
    [{ calibrateTeacher: "both" }, 'calibrateTeacher: expected true or false ("both" in compare alone), got "both"'],
    [{ teacherCache: true }, "teacherCache: the logits of a teacher in train mode change at each step: use eval mode"],
    [
      { data: "rows", teacher: "t.pth", teacherCache: true, augment: { flip: 0.5 } },
      "teacherCache: the data are augmented at random",
    ],
  ])("options against each other: %j", async (config, text) => {
    expect(await refused(config)).toBe(text);
  });

  test.each([
    [null, "expected options by their names, got null"],
    [[1], "expected options by their names, got a value of type Array"],
    ["epochs", 'expected options by their names, got "epochs"'],
  ])("no options at all: %j", async (config, text) => {
    expect(await refused(config)).toBe(text);
  });
});
