import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fractionOf } from "../../src/compare/task.js";
import {
  compare,
  distill,
  evaluate,
  functionTeacher,
  Generator,
  load,
  pairedDifference,
  type Subset,
  splitDataset,
  type TeacherNet,
  TensorDataset,
} from "../../src/index.js";
import { drawingFrom } from "../helpers/drawing_from.js";
import { failure, temporaryFolder } from "../support.js";
import { compareInput, PROBLEM } from "./support.js";

const temporary = temporaryFolder();

test("a part that is less than a batch, which is dropped, is refused with its name before anything is written", async () => {
  const out = join(temporary, "less");
  const { message } = await failure(compare(compareInput(out, { fractions: [0.1], dropLast: true })), "BAD_ARGUMENT");
  expect(message).toBe(
    "fractions: 0.1 of 270 samples: batchSize: expected at most the 27 samples, as the last short batch is dropped, got 32",
  );
  expect(existsSync(out)).toBe(false);
});

test("a data-size curve: students of parts of the training data, as a run of their own trains them", async () => {
  const out = join(temporary, "curve");
  const progress: { done: number; total: number }[] = [];
  const onProgress = ({ done, total }: { done: number; total: number }) => void progress.push({ done, total });
  const { fractions = [], ...whole } = await compare(compareInput(out, { seeds: 2, fractions: [1, 0.2], onProgress }));
  expect(fractions.map(({ fraction, samples }) => [fraction, samples])).toEqual([
    [0.2, 54],
    [1, 270],
  ]);
  expect(progress.at(-1)?.done).toBe(progress.at(-1)?.total);
  const [small, all] = fractions;
  expect([all?.baseline, all?.distilled, all?.difference]).toEqual([
    whole.baseline.best,
    whole.distilled.best,
    whole.difference.best,
  ]);
  // The same by hand.
  const { train, heldOut: validation } = splitDataset(PROBLEM.data, { fraction: 0.1, seed: 0 });
  const teacher = (PROBLEM.teacher() as TeacherNet).loadStateDict(
    await load(join(out, "teacher", "teacher_best.safetensors")),
  );
  const accuracies = await Promise.all(
    [0, 1].map((seed) =>
      drawingFrom(new Generator(seed), async () => {
        const student = PROBLEM.student();
        const data = splitDataset(train, { fraction: 0.2, seed: 0 }).heldOut;
        const { best } = await distill({ teacher, student, data, validation, epochs: 3, batchSize: 32, lr: 0.01 });
        if (best !== null) student.loadStateDict(best.state);
        return evaluate(student, PROBLEM.test).accuracy;
      }),
    ),
  );
  expect(small?.distilled.accuracy?.values).toEqual(accuracies);
  const byHand = pairedDifference(accuracies, small?.baseline.accuracy?.values ?? []);
  expect(small?.difference.mean).toBeCloseTo(byHand.mean, 12);
});

test("the comparison without them is the same, and they come to a finished one", async () => {
  const out = join(temporary, "later");
  const before = await compare(compareInput(out, { seeds: 1 }));
  const after = await compare(compareInput(out, { seeds: 1, fractions: [0.5], resume: true }));
  expect(after.distilled.best).toEqual(before.distilled.best);
  expect(after.fractions?.map(({ samples }) => samples)).toEqual([135, 270]);
});

describe("a fraction of data of which some samples have no label", () => {
  const { inputs, labels } = PROBLEM.data.slice(0, 300);
  const partly = new TensorDataset(
    inputs,
    labels.data.map((label, i) => (i % 4 === 0 ? label : -1)),
    { classes: 3, unlabelled: true, name: "partly" },
  );

  test("has the same fraction of those, the same ones each time", () => {
    const part = fractionOf(partly, 0.2);
    const chosen = [...(part.labels?.data ?? [])];
    expect([chosen.filter((label) => label >= 0).length, chosen.filter((label) => label < 0).length]).toEqual([15, 45]);
    expect(part.fingerprint()).toBe(fractionOf(partly, 0.2).fingerprint());
    // A smaller one is a part of it, and the labelled ones are those of the labelled samples alone.
    const indicesOf = (fraction: number) => [...(fractionOf(partly, fraction) as Subset).indices];
    const [less, more] = [indicesOf(0.1), indicesOf(0.2)].map((all) => all.filter((i) => i % 4 !== 0));
    expect(more).toEqual(expect.arrayContaining(less));
    const { heldOut } = splitDataset(partly, { fraction: 0.2, seed: 0 });
    expect(indicesOf(0.2).filter((i) => i % 4 === 0)).toEqual([...heldOut.indices]);
    expect(indicesOf(0.2)).toEqual(indicesOf(0.2).toSorted((a, b) => a - b));
  });

  test("is what students are trained on, and what the curve says", async () => {
    const out = join(temporary, "partly");
    const { fractions = [], data } = await compare(
      compareInput(out, { data: partly, seeds: 1, epochs: 1, fractions: [0.2] }),
    );
    const samples = fractionOf(splitDataset(partly, { fraction: 0.1, seed: 0 }).train, 0.2).length;
    expect(fractions.map((one) => one.samples)).toEqual([samples, data.training]);
    expect(samples).toBe(Math.round(0.2 * 225) + Math.round(0.2 * 67));
    const last = JSON.parse(
      readFileSync(join(out, "fraction-0.2", "seed-0", "distilled", "metrics.jsonl"), "utf8").trim(),
    );
    expect(last.labelled).toBeGreaterThan(0);
    expect(last.labelled).toBeLessThan(32);
  });
});

test.each([
  [[0], "fractions[0]: expected a number above 0, up to 1, got 0"],
  [[1.5], "fractions[0]: expected a number above 0, up to 1, got 1.5"],
  [[0.5, 0.5], "fractions[1]: expected each once"],
  [[], "fractions: expected a list of numbers"],
])("fractions %j are refused", async (fractions, text) => {
  const refused = compare(compareInput(join(temporary, "refused"), { fractions }));
  expect((await failure(refused, "BAD_ARGUMENT")).message).toContain(text);
});

test("a teacher from elsewhere is refused", async () => {
  const teacher = functionTeacher(() => [[0, 0, 0]]);
  const refused = compare(compareInput(join(temporary, "asked"), { teacher, fractions: [0.5] }));
  expect((await failure(refused, "BAD_ARGUMENT")).message).toContain("fractions: expected a network as the teacher");
});
