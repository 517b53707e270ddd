import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  compare,
  distill,
  evaluate,
  Generator,
  load,
  type SweepInput,
  type SweepResult,
  splitDataset,
  sweep,
  type TrialRecord,
  withGenerator,
} from "../../src/index.js";
import { failure, temporaryFolder } from "../checkpoint/support.js";
import { timeless as timelessRecord } from "../train/support.js";
import { compareInput, PROBLEM, sweepInput, timeless, watched } from "./support.js";

const temporary = temporaryFolder();
let runs = 0;
const newRun = () => join(temporary, `sweep-${runs++}`);

describe("a sweep", () => {
  const out = newRun();
  let result: SweepResult;
  const whole = async () => {
    result ??= await sweep(sweepInput(out));
    return result;
  };
  const teacherOf = async () =>
    PROBLEM.teacher().loadStateDict(await load(join(out, "teacher", "teacher_best.safetensors")));

  test("has every temperature with every alpha, each as distilled by itself", async () => {
    const { points, temperatures, alphas } = await whole();
    expect([temperatures, alphas]).toEqual([
      [1, 4],
      [0.2, 0.8],
    ]);
    expect(points.map(({ temperature, alpha }) => [temperature, alpha])).toEqual([
      ...[
        [1, 0.2],
        [1, 0.8],
        [4, 0.2],
        [4, 0.8],
      ],
    ]);
    const { train: data, heldOut: validation } = splitDataset(PROBLEM.data, { fraction: 0.1, seed: 0 });
    const teacher = await teacherOf();
    for (const point of points) {
      const { temperature, alpha } = point;
      const generator = new Generator(0);
      const { history, best } = await withGenerator(generator, () => {
        const budget = { epochs: 3, batchSize: 32, lr: 0.01, temperature, alpha };
        return distill({ teacher, student: PROBLEM.student(), data, validation, ...budget });
      });
      expect(point.history.map(timelessRecord)).toEqual(history.map(timelessRecord));
      expect(point.bestEpoch).toBe(best?.epoch);
      expect(point.validationAccuracy).toBe(best?.validationAccuracy);
      expect(point.agreement).toBe(history[point.bestEpoch - 1]?.metrics.agreement);
    }
  });

  test("chooses by the validation set, and examines what it chose", async () => {
    const { points, best, teacher } = await whole();
    const highest = Math.max(...points.map(({ validationAccuracy }) => validationAccuracy));
    const { evaluation, ...chosen } = best;
    expect(chosen.validationAccuracy).toBe(highest);
    // Of equals, the one with the lowest loss.
    const lossOf = ({ history, bestEpoch }: (typeof points)[number]) =>
      history[bestEpoch - 1]?.metrics.validationLoss ?? NaN;
    const equals = points.filter(({ validationAccuracy }) => validationAccuracy === highest);
    expect(lossOf(chosen)).toBe(Math.min(...equals.map(lossOf)));
    expect(points).toContainEqual(chosen);
    const student = PROBLEM.student().loadStateDict(await load(chosen.file));
    expect(evaluation).toEqual(evaluate(student, PROBLEM.test, { teacher: await teacherOf() }));
    expect(teacher.evaluation).toEqual(evaluate(await teacherOf(), PROBLEM.test));
  });

  test("is kept, and the same call again gives the same figures", async () => {
    const { config } = await whole();
    expect(JSON.parse(readFileSync(join(out, "sweep.json"), "utf8"))).toEqual(result);
    expect(config).toMatchObject({ seed: 0, temperatures: [1, 4], alphas: [0.2, 0.8], epochs: 3 });
    expect(config).not.toHaveProperty("temperature");
    const again = newRun();
    expect(timeless(await sweep(sweepInput(again)), again)).toEqual(timeless(result, out));
  });

  test("its point is the distilled student of a comparison with the same numbers", async () => {
    const { points } = await whole();
    const { distilled } = await compare(compareInput(newRun(), { seeds: 1, temperature: 4, alpha: 0.8 }));
    expect(distilled.histories[0]?.map(timelessRecord)).toEqual(points[3]?.history.map(timelessRecord));
  });
});

test("the test set is not read before all training is done", async () => {
  const trained: string[] = [];
  let readAfter = Number.POSITIVE_INFINITY;
  const onRead = () => {
    readAfter = Math.min(readAfter, trained.length);
  };
  const onTrial = ({ name }: TrialRecord) => void trained.push(name);
  await sweep(sweepInput(newRun(), { test: watched(PROBLEM.test, onRead), onTrial }));
  expect(trained).toEqual(["teacher", ...[1, 4].flatMap((t) => [0.2, 0.8].map((a) => `temperature-${t}/alpha-${a}`))]);
  expect(readAfter).toBe(5);
});

describe("what is refused, before anything is written", () => {
  const bad: [string, Partial<SweepInput>, string][] = [
    ["no temperature", { temperatures: [] }, "temperatures: expected a list of numbers, got a value of type Array"],
    ["a temperature of 0", { temperatures: [1, 0] }, "temperatures[1]: expected a number above 0, got 0"],
    ["an alpha above 1", { alphas: [1.5] }, "alphas[0]: expected a number from 0 to 1, got 1.5"],
    ["an alpha twice", { alphas: [0.5, 0.5] }, "alphas[1]: expected each once, got 0.5 again"],
    ["a list that is none", { alphas: 0.5 as never }, "alphas: expected a list of numbers, got 0.5"],
    ["a negative seed", { seed: -1 }, "seed: expected a whole number of at least 0, got -1"],
    ["an option", { epochs: 0 }, "epochs: expected a whole number of at least 1, got 0"],
    [
      "one temperature beside the list",
      { temperature: 3 } as Partial<SweepInput>,
      "temperature: a sweep takes a list, temperatures",
    ],
  ];

  test.each(bad)("%s", async (_, more, message) => {
    const out = newRun();
    expect((await failure(sweep(sweepInput(out, more)), "BAD_ARGUMENT")).message).toBe(message);
    expect(existsSync(out)).toBe(false);
  });
});
