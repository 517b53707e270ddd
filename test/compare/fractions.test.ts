import { join } from "node:path";
import { expect, test } from "vitest";
import {
  compare,
  distill,
  evaluate,
  functionTeacher,
  Generator,
  load,
  pairedDifference,
  splitDataset,
  type TeacherNet,
  withGenerator,
} from "../../src/index.js";
import { failure, temporaryFolder } from "../checkpoint/support.js";
import { compareInput, PROBLEM } from "./support.js";

const temporary = temporaryFolder();

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
    ...[whole.baseline.best, whole.distilled.best, whole.difference.best],
  ]);
  // The same by hand.
  const { train, heldOut: validation } = splitDataset(PROBLEM.data, { fraction: 0.1, seed: 0 });
  const teacher = (PROBLEM.teacher() as TeacherNet).loadStateDict(
    await load(join(out, "teacher", "teacher_best.safetensors")),
  );
  const accuracies = await Promise.all(
    [0, 1].map((seed) =>
      withGenerator(new Generator(seed), async () => {
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
