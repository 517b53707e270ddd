import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseExperiment } from "../../src/compare/experiment.js";
import {
  augment,
  type CompareInput,
  type CompareResult,
  compare,
  crossEntropy,
  type Dataset,
  type DistillationLoss,
  type Evaluation,
  evaluate,
  flattenRecord,
  Generator,
  type Labels,
  load,
  Mlp,
  StudentNet,
  splitDataset,
  TeacherCache,
  TeacherNet,
  TensorDataset,
  type TrialRecord,
  trainTeacher,
  withGenerator,
} from "../../src/index.js";
import { failure, newFolders, temporaryFolder } from "../support.js";
import { mean } from "../train/support.js";
import { compareInput, PROBLEM, SIZES, STEPS, timeless, watched } from "./support.js";

const temporary = temporaryFolder();
const newRun = newFolders(temporary, "compare");
const NAMES = [0, 1, 2].flatMap((seed) => ["baseline", "distilled"].map((kind) => `seed-${seed}/${kind}`));

/** The weights of a trial as a student, examined by hand. */
async function examined(out: string, trial: string, weights: "best" | "last"): Promise<Evaluation> {
  const folder = join(out, trial);
  const files = readdirSync(folder).filter((name) => /(?<!^checkpoint.*)\.safetensors$/.test(name));
  const file = files.find((name) => name.endsWith("_best.safetensors") === (weights === "best")) as string;
  const student = PROBLEM.student().loadStateDict(await load(join(folder, file)));
  const teacher = (PROBLEM.teacher() as TeacherNet).loadStateDict(
    await load(join(out, "teacher", "teacher_best.safetensors")),
  );
  return evaluate(student, PROBLEM.test, { teacher });
}

const std = (values: readonly number[]) =>
  Math.sqrt(values.reduce((sum, x) => sum + (x - mean(values)) ** 2, 0) / (values.length - 1));

test("what is done beside the runs is told, before and after", async () => {
  const events: string[] = [];
  const teacher = PROBLEM.teacher();
  await compare(
    compareInput(newRun(), {
      teacher,
      seeds: 1,
      epochs: 1,
      onWork: ({ work, done, total }) => void events.push(`${work} ${done}/${total}`),
      onTrial: ({ name }) => void events.push(name),
    }),
  );
  expect(events).toEqual([
    "teacher logits 0/1",
    "teacher logits 1/1",
    "seed-0/baseline",
    "seed-0/distilled",
    ...[0, 1, 2, 3, 4].map((done) => `test set ${done}/4`),
    ...[0, 1, 2, 3, 4, 5].map((done) => `fidelity and calibration ${done}/6`),
  ]);
});

test("in bfloat16: settings, teacher, its logits and all students are of that precision", async () => {
  const out = newRun();
  const notes: string[] = [];
  const onNote = (text: string) => notes.push(text);
  await compare(compareInput(out, { seeds: 1, precision: "bfloat16", onNote }));
  const configs = ["", "teacher", "seed-0/baseline", "seed-0/distilled"].map((folder) => {
    return JSON.parse(readFileSync(join(out, folder, "config.json"), "utf8"));
  });
  expect(configs.map(({ precision }) => precision)).toEqual(Array(4).fill("bfloat16"));
  expect((await TeacherCache.load(join(out, "teacher_logits.safetensors"))).precision).toBe("bfloat16");
  expect(notes.filter((note) => note.startsWith("bfloat16: "))).toHaveLength(1);
  const again = compare(compareInput(out, { seeds: 1, resume: true }));
  expect((await failure(again, "BAD_CONFIG")).message).toContain('precision was "bfloat16", is "float32"');
});

test.each([true, false])(
  "a loss that reads hidden outputs or no teacher: no logits are computed (hidden: %s)",
  async (hidden) => {
    const out = newRun();
    const loss: DistillationLoss = {
      name: "own",
      needsTeacher: hidden,
      config: () => ({ name: "own" }),
      ...(hidden && { taps: { teacher: ["fc1"] } }),
      compute({ student, teacher, labels }) {
        if (hidden) expect(teacher.taps.fc1.shape[1]).toBe(24);
        return { loss: crossEntropy(student.logits, labels as Labels), metrics: {} };
      },
    };
    const { distilled, baseline } = await compare(compareInput(out, { seeds: 1, epochs: 1, loss }));
    expect(distilled.best.accuracy).toEqual(baseline.best.accuracy);
    expect(existsSync(join(out, "teacher_logits.safetensors"))).toBe(false);
  },
);

test("steps with accumulated gradients are counted", async () => {
  const seen: { done: number; total: number }[] = [];
  const onProgress: CompareInput["onProgress"] = ({ done, total }) => void seen.push({ done, total });
  await compare(compareInput(newRun(), { seeds: 1, accumulate: 4, onProgress, teacher: PROBLEM.student }));
  const steps = 3 * Math.ceil(STEPS / 3 / 4);
  expect(seen.at(-1)).toEqual({ done: 3 * steps, total: 3 * steps });
  expect(seen.slice(0, steps).map(({ done }) => done)).toEqual(Array.from({ length: steps }, (_, i) => i + 1));
});

describe("the figures are those of the trials' own folders", () => {
  const out = newRun();
  let result: CompareResult;
  const whole = async () => {
    result ??= await compare(compareInput(out, { seeds: 3 }));
    return result;
  };

  test.each(["best", "last"] as const)("of the %s epoch", async (weights) => {
    const { baseline, distilled, difference } = await whole();
    const byHand = await Promise.all(NAMES.map((name) => examined(out, name, weights)));
    const kinds = { baseline, distilled };
    for (const [i, kind] of (["baseline", "distilled"] as const).entries()) {
      const own = byHand.filter((_, at) => at % 2 === i);
      const figures = kinds[kind][weights];
      const accuracies = own.map(({ accuracy }) => accuracy);
      expect(figures.accuracy.values).toEqual(accuracies);
      expect(figures.accuracy.mean).toBeCloseTo(mean(accuracies), 12);
      expect(figures.accuracy.std).toBeCloseTo(std(accuracies), 12);
      expect(figures.agreement.values).toEqual(own.map(({ agreement }) => agreement));
      expect(figures.calibrationError.values).toEqual(own.map(({ calibration }) => calibration.error));
      if (weights === "best") expect(kinds[kind].evaluations).toEqual(own);
    }
    const differences = [0, 2, 4].map((i) => (byHand[i + 1] as Evaluation).accuracy - byHand[i].accuracy);
    expect(difference[weights].mean).toBeCloseTo(mean(differences), 12);
    expect(difference[weights].std).toBeCloseTo(std(differences), 12);
    const { low, high, distinguishable } = difference[weights];
    expect(distinguishable).toBe(low > 0 || high < 0);
  });

  test("they learn: better than the 1/3 of chance", async () => {
    const { teacher, baseline, distilled } = await whole();
    expect((teacher.evaluation as Evaluation).accuracy).toBeGreaterThan(0.6);
    expect(baseline.best.accuracy.mean).toBeGreaterThan(0.5);
    expect(distilled.best.accuracy.mean).toBeGreaterThan(0.5);
  });

  test("the best epochs are those of the metrics", async () => {
    const { distilled } = await whole();
    for (const [seed, history] of distilled.histories.entries()) {
      const file = join(out, `seed-${seed}`, "distilled", "metrics.jsonl");
      const lines = readFileSync(file, "utf8").trim().split("\n");
      expect(lines.map((line) => JSON.parse(line))).toEqual(history.map(flattenRecord));
      const accuracies = history.map(({ metrics }) => metrics.validationAccuracy);
      const epoch = distilled.best.epoch.values[seed];
      expect(accuracies[epoch - 1]).toBe(Math.max(...accuracies));
    }
  });

  test("the teacher is one that was trained by itself, with a seed that no student has", async () => {
    const { teacher } = await whole();
    const { train: data, heldOut: validation } = splitDataset(PROBLEM.data, { fraction: 0.1, seed: 0 });
    const generator = new Generator(2 ** 31);
    const model = withGenerator(generator, PROBLEM.teacher);
    const { best } = await withGenerator(generator, () =>
      trainTeacher({ model, data, validation, epochs: 3, batchSize: 32, lr: 0.01 }),
    );
    model.loadStateDict(best?.state ?? {});
    expect(teacher.evaluation).toEqual(evaluate(model, PROBLEM.test));
  });

  test("sizes, data, configuration, and the file", async () => {
    const { sizes, data, config, seeds, distilled, teacher } = await whole();
    expect(data).toEqual({ name: "blobs", training: 270, validation: 30, test: 150, features: 4, classes: 3 });
    expect(seeds).toEqual([0, 1, 2]);
    expect(sizes.student.parameters).toBe(4 * 8 + 8 + 8 * 6 + 6 + 6 * 3 + 3);
    expect(sizes.teacher?.parameters).toBe(PROBLEM.teacher().parameterCount());
    expect(sizes.student.bytes).toBe(readFileSync(distilled.files[0]).length);
    expect(sizes.teacher?.bytes).toBe(readFileSync(teacher.file as string).length);
    for (const size of [sizes.student, sizes.teacher]) {
      expect(size?.latencyMs).toBeGreaterThan(0);
      expect(size?.throughput).toBeGreaterThan(0);
    }
    expect(config).toMatchObject({
      command: "compare",
      epochs: 3,
      batchSize: 32,
      lr: 0.01,
      temperature: 3.5,
      alpha: 0.6,
      seeds: [0, 1, 2],
    });
    expect(JSON.parse(readFileSync(join(out, "compare.json"), "utf8"))).toEqual(JSON.parse(JSON.stringify(result)));
    const { teacherHash: _, ...before } = config;
    expect(JSON.parse(readFileSync(join(out, "config.json"), "utf8"))).toEqual(before);
    expect(readdirSync(out).sort()).toEqual(
      [
        "compare.json",
        "config.json",
        "run.lock",
        "seed-0",
        "seed-1",
        "seed-2",
        "teacher",
        "teacher_logits.safetensors",
      ].sort(),
    );
  });

  test("the same call again gives the same figures", async () => {
    const again = newRun();
    expect(timeless(await compare(compareInput(again, { seeds: 3 })), again)).toEqual(timeless(await whole(), out));
  });
});

test("baseline and distilled have the same initial weights and see the same batches", async () => {
  const seen: Record<string, string[]> = { baseline: [], distilled: [] };
  let current: string[] = [];
  const { train, heldOut } = splitDataset(PROBLEM.data, { fraction: 0.1 });
  const data = { ...watched(train, () => {}) };
  data.batch = (indices) => {
    current.push([...indices].join());
    return train.batch(indices);
  };
  await compare(
    compareInput(newRun(), {
      data,
      validation: heldOut,
      seeds: [5],
      onTrial: ({ name }) => {
        seen[name.split("/")[1] ?? "teacher"] = current;
        current = [];
      },
    }),
  );
  expect(seen.baseline).toHaveLength(STEPS);
  expect(seen.distilled).toEqual(seen.baseline);
});

test("alpha 0 takes nothing from the teacher: both are the same student, and nothing is distinguishable", async () => {
  const { baseline, distilled, difference } = await compare(compareInput(newRun(), { alpha: 0 }));
  expect(distilled.best.accuracy).toEqual(baseline.best.accuracy);
  expect(difference.best).toMatchObject({ mean: 0, low: -Infinity, high: Infinity, distinguishable: false });
});

test("the test set is not read before all training is done", async () => {
  const trained: string[] = [];
  let readAfter = Number.POSITIVE_INFINITY;
  const onRead = () => {
    readAfter = Math.min(readAfter, trained.length);
  };
  const onTrial = ({ name }: TrialRecord) => void trained.push(name);
  await compare(compareInput(newRun(), { test: watched(PROBLEM.test, onRead), onTrial }));
  expect(trained).toEqual(["teacher", ...NAMES.slice(0, 4)]);
  expect(readAfter).toBe(5);
});

test("of augmented data the validation set is held out as it is", () => {
  const { task } = parseExperiment({ ...PROBLEM, data: augment(PROBLEM.data, { noise: 9 }), out: newRun() });
  const { heldOut, train } = splitDataset(PROBLEM.data, { fraction: 0.1, seed: 0 });
  expect([task.data.augmented, task.data.length]).toEqual([true, train.length]);
  expect(task.validation.slice(0, 30).inputs.data).toEqual(heldOut.slice(0, 30).inputs.data);
});

describe("a teacher that comes trained", () => {
  const teacher = withGenerator(new Generator(7), PROBLEM.teacher);

  test("is used as it is, and kept", async () => {
    const out = newRun();
    const trials: string[] = [];
    const onTrial = ({ name }: TrialRecord) => void trials.push(name);
    const { teacher: figures } = await compare(compareInput(out, { teacher, seeds: 1, onTrial }));
    expect(figures.history).toEqual([]);
    expect(figures.evaluation).toEqual(evaluate(teacher, PROBLEM.test));
    expect(figures.file).toBe(join(out, "teacher", "teacher.safetensors"));
    expect(
      new TeacherNet({ ...SIZES, hidden: [24, 16, 12] }).loadStateDict(await load(figures.file as string)),
    ).toBeDefined();
    expect(trials).toEqual(["seed-0/baseline", "seed-0/distilled"]);
  });
});

test("one seed gives no interval", async () => {
  const out = newRun();
  const { difference } = await compare(compareInput(out, { seeds: [3] }));
  expect(difference.best).toMatchObject({ low: -Infinity, high: Infinity, distinguishable: false });
  expect(JSON.parse(readFileSync(join(out, "compare.json"), "utf8")).difference.best.low).toBe(null);
});

test("progress counts every step once, those of the teacher by its size", async () => {
  const shares: number[] = [];
  const totals = new Set<number>();
  await compare(
    compareInput(newRun(), {
      seeds: 1,
      onProgress: ({ done, total }) => {
        shares.push(done / total);
        totals.add(total);
      },
    }),
  );
  const ratio = PROBLEM.teacher().parameterCount() / PROBLEM.student().parameterCount();
  expect([...totals]).toEqual([STEPS * (ratio + 2)]);
  expect(shares).toEqual([...shares].sort((a, b) => a - b));
  expect(shares.at(-1)).toBe(1);
});

const SHARED = PROBLEM.student();

/** The same without the label of the third sample. */
function withoutLabel(data: Dataset): Dataset {
  const { inputs, labels } = data.slice(0, data.length);
  const { classes, name } = data;
  return new TensorDataset(
    inputs,
    labels.data.map((label, i) => (i === 2 ? -1 : label)),
    { classes, unlabelled: true, name },
  );
}

describe("what is refused, before anything is written", () => {
  const bad: [string, Partial<CompareInput>, string, string][] = [
    [
      "the teacher's seed for a student",
      { seeds: [1, 2 ** 31 + 1] },
      "BAD_ARGUMENT",
      "seeds: 2147483649 is the teacher's, beside 1: leave one of the two out",
    ],
    [
      "a temperature without soft targets",
      { temperature: 2, alpha: 0 },
      "BAD_ARGUMENT",
      "temperature: with alpha 0 the loss has no soft targets: leave it out",
    ],
    [
      "one student for all runs",
      { student: () => SHARED },
      "BAD_ARGUMENT",
      "student: expected a new network for each run, got the same parameters twice: make it inside, as () => new Net()",
    ],
    [
      "augmented test data",
      { test: augment(PROBLEM.test, { mixup: 1 }) },
      "BAD_ARGUMENT",
      "test: is augmented at random: give the samples as they are (split first, then augment the training part)",
    ],
    [
      "a loss that takes no mixed samples",
      { data: augment(PROBLEM.data, { mixup: 1 }), loss: "crd(negatives=4)" },
      "BAD_ARGUMENT",
      "loss: crd: recognises samples by their index, and a mixed one is none of them: leave mixup out",
    ],
    [
      "one set for validation and test",
      { validation: PROBLEM.test },
      "BAD_ARGUMENT",
      "test: 150 of 150 samples are in the validation set, on which epochs are chosen, too",
    ],
    [
      "training samples for the test",
      { test: splitDataset(PROBLEM.data, { fraction: 0.5 }).heldOut, validation: PROBLEM.test },
      "BAD_ARGUMENT",
      "test: 150 of 150 samples are in the training data too",
    ],
    [
      "a student of other outputs, before the teacher is trained",
      { student: () => new Mlp({ inFeatures: PROBLEM.data.features, classes: 2 }) },
      "SHAPE_MISMATCH",
      `student: gives 2 logits a sample, the data have ${PROBLEM.data.classes} classes`,
    ],
    [
      "a frozen one",
      { student: () => new Mlp({ inFeatures: PROBLEM.data.features, classes: PROBLEM.data.classes }).freeze() },
      "BAD_ARGUMENT",
      "student: has no parameter that requires a gradient: unfreeze() it, or some of its layers",
    ],
    ["no seeds", { seeds: 0 }, "BAD_ARGUMENT", "seeds: expected a whole number from 1 to 1000, got 0"],
    ["an empty list of seeds", { seeds: [] }, "BAD_ARGUMENT", "seeds: expected a list of numbers, got an empty list"],
    ["a seed twice", { seeds: [1, 2, 1] }, "BAD_ARGUMENT", "seeds[2]: expected each once, got 1 again"],
    ["half a seed", { seeds: [0.5] }, "BAD_ARGUMENT", "seeds[0]: expected a whole number of at least 0, got 0.5"],
    ["an option", { epochs: 0 }, "BAD_ARGUMENT", "epochs: expected a whole number of at least 1, got 0"],
    [
      "an unknown option",
      { epoch: 3 } as Partial<CompareInput>,
      "BAD_ARGUMENT",
      "epoch: unknown option, did you mean epochs?",
    ],
    [
      "a controller",
      { signal: new AbortController() as never },
      "BAD_ARGUMENT",
      "signal: expected an AbortSignal, got a value of type AbortController",
    ],
    ["no callback", { onTrial: 7 as never }, "BAD_ARGUMENT", "onTrial: expected a function, got 7"],
    [
      "no callback of progress",
      { onProgress: "x" as never },
      "BAD_ARGUMENT",
      'onProgress: expected a function, got "x"',
    ],
    ["no note", { onNote: 7 as never }, "BAD_ARGUMENT", "onNote: expected a function, got 7"],
    ["no metadata", { metadata: [1] as never }, "BAD_ARGUMENT", "metadata: expected an object, got [1]"],
    [
      "a teacher in train mode",
      { teacherMode: "train" } as Partial<CompareInput>,
      "BAD_ARGUMENT",
      'teacherMode: expected "eval": the students are to get the same logits',
    ],
    [
      "a network for a function",
      { student: PROBLEM.student() as never },
      "BAD_ARGUMENT",
      "student: expected a function that makes the network, as () => new Net()",
    ],
    [
      "a student that is a promise",
      { student: (() => Promise.reject(new Error("late"))) as never },
      "BAD_ARGUMENT",
      "student(): expected a Module, awaited before, got a promise",
    ],
    [
      "a teacher that is a promise",
      { teacher: (() => Promise.reject(new Error("late"))) as never },
      "BAD_ARGUMENT",
      "teacher(): expected a Module, awaited before, got a promise",
    ],
    [
      "a class as the student",
      { student: StudentNet as never },
      "BAD_ARGUMENT",
      "student: expected a function that makes the network, as () => new StudentNet(), got a function",
    ],
    ["a student that is none", { student: (() => 3) as never }, "BAD_ARGUMENT", "student(): expected a Module, got 3"],
    ["a teacher that is none", { teacher: 3 as never }, "BAD_ARGUMENT", "teacher: expected a Module, got 3"],
    ["a test set that is none", { test: null as never }, "BAD_ARGUMENT", "test: expected a Dataset, got null"],
    [
      "a test set of other classes",
      { test: { ...watched(PROBLEM.test, () => {}), classes: 4 } },
      "SHAPE_MISMATCH",
      "test: expected 4 features and 3 classes, as the training data have, got 4 and 4",
    ],
    [
      "a test set with samples without labels",
      { test: withoutLabel(PROBLEM.test) },
      "BAD_ARGUMENT",
      "test: sample 2 has no label, which accuracy needs",
    ],
    [
      "a test set for another task",
      { test: { ...watched(PROBLEM.test, () => {}), task: "regression" } },
      "BAD_ARGUMENT",
      "test: is for regression, the data for classification",
    ],
    [
      "too few classes",
      { data: { ...watched(PROBLEM.data, () => {}), classes: 1 } },
      "BAD_ARGUMENT",
      "data: expected two classes or more, got 1",
    ],
    [
      "no validation set",
      { validation: 0 },
      "BAD_ARGUMENT",
      "validation: expected a data set or a share between 0 and 1, got 0",
    ],
    ["no folder", { out: "" }, "BAD_ARGUMENT", 'out: expected a folder, got ""'],
    [
      "no worker",
      { workers: { module: "x.js", count: 0 } },
      "BAD_ARGUMENT",
      "workers.count: expected a whole number of at least 1, got 0",
    ],
    [
      "a worker without a module",
      { workers: {} as never },
      "BAD_ARGUMENT",
      "workers.module: expected a module's address, got undefined",
    ],
    [
      "a function for another process",
      { schedule: () => 1, workers: { module: "x.js" } },
      "BAD_ARGUMENT",
      "schedule: a function can't be sent to another process: leave workers out, or give a schedule by its name",
    ],
  ];

  test.each(bad)("%s", async (_, more, code, message) => {
    const out = newRun();
    expect((await failure(compare(compareInput(out, more)), code)).message).toBe(message);
    expect(existsSync(out)).toBe(false);
  });
});
