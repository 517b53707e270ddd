import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { sweepTrials } from "../../src/compare/sweep.js";
import {
  compare,
  distill,
  evaluate,
  Generator,
  holm,
  load,
  pairedDifference,
  type SweepInput,
  type SweepResult,
  splitDataset,
  sweep,
  sweepShare,
  type TrialRecord,
  withGenerator,
} from "../../src/index.js";
import { failure, newFolders, temporaryFolder } from "../support.js";
import { timeless as timelessRecord } from "../train/support.js";
import { compareInput, PROBLEM, sweepInput, timeless, watched } from "./support.js";

const temporary = temporaryFolder();
const newRun = newFolders(temporary, "sweep");

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
      [1, 0.2],
      [1, 0.8],
      [4, 0.2],
      [4, 0.8],
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
    expect(config).toMatchObject({ seeds: [0], temperatures: [1, 4], alphas: [0.2, 0.8], epochs: 3 });
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

test("several seeds: each as by itself, ranked by their mean; a sweep of one seed goes on with more, also in shares", async () => {
  const [out, shared] = [newRun(), newRun()];
  const teacher = PROBLEM.teacher();
  const one = await sweep(sweepInput(out, { teacher, seeds: [3] }));
  const other = await sweep(sweepInput(newRun(), { teacher, seeds: [5] }));
  const trained: string[] = [];
  const onTrial = ({ name, seconds }: TrialRecord) => void (seconds > 0 && trained.push(name));
  const both = await sweep(sweepInput(out, { teacher, seeds: [3, 5], resume: true, onTrial }));
  expect(trained.filter((name) => name.startsWith("seed-5/temperature-"))).toHaveLength(4);
  const accuracies = [one, other].map(({ points }) => points.map((point) => point.validationAccuracy));
  const means = accuracies[0]?.map((x, i) => (x + accuracies[1]?.[i]) / 2);
  for (const [i, { spread, ...point }] of both.points.entries()) {
    expect(spread?.figure.values).toEqual(accuracies.map((values) => values[i]));
    expect(point.validationAccuracy).toBeCloseTo(means[i], 12);
    expect(point.history.map(timelessRecord)).toEqual(one.points[i]?.history.map(timelessRecord));
    expect(await load(spread?.files[1] as string)).toEqual(await load(other.points[i]?.file as string));
  }
  const at = both.points.findIndex(({ spread }) => spread?.lead === null);
  expect(means[at]).toBe(Math.max(...means));
  const { evaluation, test, ...chosen } = both.best;
  expect(both.points[at]).toEqual(chosen);
  const student = PROBLEM.student();
  const byHand: number[] = [];
  for (const file of chosen.spread?.files ?? []) {
    byHand.push(evaluate(student.loadStateDict(await load(file)), PROBLEM.test).accuracy);
  }
  expect([test?.accuracy?.values, evaluation]).toEqual([byHand, expect.objectContaining({ accuracy: byHand[0] })]);
  const leads = both.points.flatMap(({ spread }) => (spread?.lead ? [spread.lead] : []));
  // Of the 6 pairs of 4 points the 3 with the best one.
  const corrected = holm([...leads.map(({ pValue }) => pValue), 1, 1, 1]).slice(0, 3);
  expect(leads.map(({ correctedPValue }) => correctedPValue)).toEqual(corrected);
  for (const [i, { spread }] of both.points.entries()) {
    const [best, own] = [at, i].map((k) => accuracies.map((values) => values[k])) as [number[], number[]];
    if (i !== at) expect(spread?.lead).toMatchObject(pairedDifference(best, own));
  }

  for (const index of [0, 1, 2]) {
    await sweepShare(sweepInput(shared, { teacher, seeds: [3, 5] }), { index, of: 3 });
  }
  const collected = await sweep(sweepInput(shared, { teacher, seeds: [3, 5], collect: true }));
  expect(timeless(collected, shared)).toEqual(timeless(both, out));
});

test.each<[string, string[], string]>([
  ["kd", ["temperature", "alpha"], "kd(temperature=2, alpha=0.3)"],
  ["0.5*cross-entropy + 0.5*kd", ["temperature"], "0.5*cross-entropy + 0.5*kd(temperature=2)"],
  [
    "cross-entropy + dkd(beta=2) + kd(4, 0.6)",
    ["temperature", "alpha"],
    "cross-entropy + dkd(alpha=1, beta=2, temperature=2) + kd(temperature=2, alpha=0.3)",
  ],
  ["dkd(temperature=[10, 1]) + kd", ["temperature"], "dkd(alpha=1, beta=8, temperature=[10, 1]) + kd(temperature=2)"],
])("of %s it sets %o", async (loss, swept, expected) => {
  const grid = { ...(swept.includes("alpha") && { alphas: [0.3] }), temperatures: [2] };
  const { alphas: _, temperatures: __, ...common } = sweepInput(newRun(), { loss });
  const [trial] = await sweepTrials({ ...common, ...grid });
  expect(trial?.loss).toBe(expected);
  if (swept.includes("alpha")) return;
  const { message } = await failure(sweepTrials({ ...common, ...grid, alphas: [0.3] }), "BAD_ARGUMENT");
  expect(message).toMatch(/^alphas: no term of the loss has an alpha that shares the loss/);
});

test("points without soft targets are trained on the labels alone", async () => {
  const options = async (more: Partial<SweepInput>) => {
    const trials = await sweepTrials({ ...sweepInput(newRun()), ...more });
    return trials.map(({ options: { temperature, alpha } }) => [temperature, alpha]);
  };
  expect(await options({ temperatures: [1, 4], alphas: [0, 0.8] })).toEqual([
    [3.5, 0],
    [1, 0.8],
    [3.5, 0],
    [4, 0.8],
  ]);
  expect(await options({ temperatures: undefined, alphas: [0] })).toEqual([[3.5, 0]]);
  const ofLoss = { loss: "kd", temperatures: [2], alphas: [0, 0.3] };
  expect((await sweepTrials({ ...sweepInput(newRun()), ...ofLoss })).map(({ loss }) => loss)).toEqual([
    "kd(temperature=3.5, alpha=0)",
    "kd(temperature=2, alpha=0.3)",
  ]);
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
    ["no temperature", { temperatures: [] }, "temperatures: expected a list of numbers, got an empty list"],
    [
      "a temperature beyond single precision",
      { temperatures: [1e30] },
      "temperatures[0]: expected a temperature from 0.001 to 1000000, got 1e+30",
    ],
    ["a temperature of 0", { temperatures: [1, 0] }, "temperatures[1]: expected a number above 0, got 0"],
    ["an alpha above 1", { alphas: [1.5] }, "alphas[0]: expected a number from 0 to 1, got 1.5"],
    ["an alpha twice", { alphas: [0.5, 0.5] }, "alphas[1]: expected each once, got 0.5 again"],
    ["a list that is none", { alphas: 0.5 as never }, "alphas: expected a list of numbers, got 0.5"],
    [
      "temperatures without soft targets",
      { alphas: [0] },
      "temperatures: with alpha 0 the loss has no soft targets: leave it out",
    ],
    ["a negative seed", { seeds: [-1] }, "seeds[0]: expected a whole number of at least 0, got -1"],
    ["no seed", { seeds: 0 }, "seeds: expected a whole number from 1 to 1000, got 0"],
    ["a seed twice", { seeds: [3, 3] }, "seeds[1]: expected each once, got 3 again"],
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
