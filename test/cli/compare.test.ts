import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { expectUnlocked } from "../../src/checkpoint/folder_lock.js";
import { calibrationSummary } from "../../src/compare/summary.js";
import {
  type CompareResult,
  compareCaveats,
  compareSummary,
  type Evaluation,
  evaluate,
  load,
  loadImages,
  networkFrom,
} from "../../src/index.js";
import { timeless } from "../compare/support.js";
import { temporaryFolder } from "../support.js";
import {
  ended,
  imageFolder,
  jsonLines,
  launch,
  lines,
  newFolder,
  refused,
  SMALL,
  SMALL_TEACHER,
  succeed,
  tree,
} from "./support.js";

const temporary = temporaryFolder();
const data = imageFolder();
const BUDGET = ["--epochs", "3", "--seeds", "2", "--batch-size", "16", "--lr", "1e-3"];
const ARGS = ["compare", "--data", data, ...BUDGET, ...SMALL];
const withValue = (flag: string, value: string) => ARGS.with(ARGS.indexOf(flag) + 1, value);
const OUT = join("runs", "compare");
let cwd: string;
let printed: string[];

beforeAll(async () => {
  cwd = newFolder(temporary);
  printed = lines(await succeed(ARGS, cwd));
});

const resultOf = (folder: string): CompareResult => JSON.parse(readFileSync(join(folder, OUT, "compare.json"), "utf8"));
/** What must be the same whenever and however it is computed. */
const metricsOf = (folder: string) => timeless(resultOf(folder), OUT);

describe("compare", () => {
  test("prints a run a line, the table and the answer", () => {
    const result = resultOf(cwd);
    const runs = [
      "teacher",
      ...[0, 1].flatMap((seed) => ["baseline", "distilled"].map((kind) => `seed-${seed}/${kind}`)),
    ];
    const printedLines = printed.slice(0, 5).map((line) => {
      expect(line).toMatch(/^[\w/-]+: validation accuracy \d+\.\d\d% in epoch [1-3] of 3, \d+\.\d s$/);
      return line.slice(0, line.indexOf(":"));
    });
    // Side by side: in the order in which they end.
    expect(printedLines.sort()).toEqual(runs.sort());
    const percent = (share: number) => `${(100 * share).toFixed(2)}%`;
    const { teacher, baseline, distilled, sizes } = result;
    const row = (name: string) => printed.find((line) => line.startsWith(name))?.split(/ {2,}/);
    const spread = ({ mean, std }: { mean: number; std: number }) => `${percent(mean)} ± ${(100 * std).toFixed(2)}`;
    expect(row("accuracy, best epoch")).toEqual([
      "accuracy, best epoch",
      percent((teacher.evaluation as Evaluation).accuracy),
      spread(baseline.best.accuracy),
      spread(distilled.best.accuracy),
    ]);
    expect(row("agreement")?.slice(1)).toEqual([spread(baseline.best.agreement), spread(distilled.best.agreement)]);
    const [large, small] = [sizes.teacher, sizes.student].map((size) => size?.parameters.toLocaleString("en-US"));
    expect(row("parameters")).toEqual(["parameters", large, small, small]);
    const caveats = compareCaveats(result);
    expect(caveats.at(-1)).toContain("another teacher, data set, split or setting");
    expect(printed.slice(-4 - caveats.length, -1)).toEqual([
      compareSummary(result),
      compareSummary(result, "last"),
      ...caveats,
      calibrationSummary(result),
    ]);
    expect(printed.at(-1)).toBe(`Written to ${join(OUT, "compare.json")} and ${join(OUT, "report.html")}`);
    expect(existsSync(join(cwd, OUT, "report.html"))).toBe(true);
  });

  test("its figures are those of the files that it names", async () => {
    const {
      distilled,
      baseline,
      difference,
      teacher: { file },
    } = resultOf(cwd);
    const read = async (name: string) => networkFrom(await load(join(cwd, name)));
    const { test } = await loadImages(data);
    const teacher = await read(file as string);
    const accuracies = async (files: readonly string[]) =>
      Promise.all(files.map(async (name) => evaluate(await read(name), test, { teacher }).accuracy));
    const [ours, theirs] = [await accuracies(distilled.files), await accuracies(baseline.files)];
    expect(distilled.best.accuracy.values).toEqual(ours);
    expect(baseline.best.accuracy.values).toEqual(theirs);
    expect(difference.best.values).toEqual(ours.map((x, i) => x - (theirs[i] as number)));
  });

  test("the same figures one after the other, and in the end's JSON", async () => {
    const again = newFolder(temporary);
    const objects = jsonLines(await succeed([...ARGS, "--parallel", "1", "--json", "--no-report"], again));
    expect(metricsOf(again)).toEqual(metricsOf(cwd));
    expect(objects.map(({ event }) => event)).toEqual([...Array(5).fill("run"), "end"]);
    const { difference, answer, files } = objects.at(-1) ?? {};
    expect(difference).toEqual(resultOf(cwd).difference);
    expect(answer).toBe(compareSummary(resultOf(cwd)));
    expect(printed).toContain(answer);
    expect(files).toEqual([join(OUT, "compare.json")]);
    expect(existsSync(join(again, OUT, "report.html"))).toBe(false);
  });

  test("a given teacher, and the configuration from a file", async () => {
    const again = newFolder(temporary);
    const teacher = join(cwd, OUT, "teacher", "teacher_best.pth");
    const config = join(cwd, OUT, "config.json");
    const printedLines = lines(
      await succeed(["compare", "--config", config, "--teacher", teacher, "--no-report"], again),
    );
    expect(printedLines.some((line) => line.startsWith("teacher: "))).toBe(false);
    const [own, theirs] = [metricsOf(again), metricsOf(cwd)];
    expect(own.teacher.evaluation).toEqual(theirs.teacher.evaluation);
    expect(own.difference).toEqual(theirs.difference);
  });
});

test("a dry run says what would be trained, and writes nothing", async () => {
  const folder = newFolder(temporary);
  const printedLines = await succeed([...ARGS, "--dry-run"], folder);
  expect(printedLines).toMatch(/^Parameters: teacher 1,067, student 335, 3.2 times fewer$/m);
  expect(printedLines).toMatch(/^Time of the teacher, about: /m);
  for (const kind of ["distilled student", "baseline student"])
    expect(printedLines).toMatch(new RegExp(`of a ${kind}, about: 2 times`));
  expect(tree(folder)).toEqual([]);
});

test("a dry run takes a label smoothing that the baseline alone reads, as the comparison does", async () => {
  const more = ["--losses", "kd, logit-mse", "--label-smoothing", "0.1", "--dry-run"];
  expect(await succeed([...ARGS, ...more], newFolder(temporary))).toContain("Time of a distilled student by logit-mse");
});

test("a dry run of several losses counts the students of each, and of parts of the data", async () => {
  const more = ["--losses", "kd, cross-entropy + rkd", "--calibrate-teacher", "both", "--fractions", "0.5,1"];
  const folder = newFolder(temporary);
  const { runs } = JSON.parse(await succeed([...ARGS, ...more, "--dry-run", "--json"], folder));
  expect(
    runs.map(({ name, times }: { name: string; times: number }) => [
      name.replace(/[\d,]+ samples/, "n samples"),
      times,
    ]),
  ).toEqual([
    ["the teacher", 1],
    ["a baseline student", 2],
    ["a distilled student by kd", 4],
    ["a distilled student by cross-entropy + rkd", 2],
    ["a baseline student, n samples", 2],
    ["a distilled student by kd, n samples", 2],
  ]);
  expect(runs[4].steps).toBeLessThan(runs[1].steps);
  const again = ["--losses", "kd, kd", "--dry-run"];
  expect(await refused([...ARGS, ...again], folder, 2, "BAD_ARGUMENT")).toContain("--losses: expected each once");
  expect(tree(folder)).toEqual([]);
});

describe("an interrupted comparison resumes", () => {
  const args = [...ARGS, "--no-report"];

  const resumed = async (folder: string) => {
    await succeed([...args, "--resume"], folder);
    expect(metricsOf(folder)).toEqual(metricsOf(cwd));
  };

  /** Starts a comparison, and waits for the line of its first run. */
  async function started(folder: string) {
    const child = launch(args, folder, { detached: true, heldUntil: "stop" });
    const end = ended(child);
    await new Promise<void>((resolve) => child.stdout?.once("data", () => resolve()));
    return { child, end };
  }

  test.each([
    ["SIGTERM", "the process", 75],
    ["SIGINT", "all processes of the terminal", 130],
  ] as const)("after %s to %s, with exit code %i", async (signal, whom, exit) => {
    const folder = newFolder(temporary);
    const { child, end } = await started(folder);
    process.kill((whom === "the process" ? 1 : -1) * (child.pid as number), signal);
    const { code, stderr } = await end;
    expect(code, stderr).toBe(exit);
    expect(stderr).toMatch(
      /^finishing the step and saving; once more stops at once\ndistillery: stopped with \d of 5 runs done; their state is saved in \S+: re-run with --resume to continue\n$/,
    );
    expect(existsSync(join(folder, OUT, "compare.json"))).toBe(false);
    await resumed(folder);
  });

  test("killed, and its processes end too", async () => {
    const folder = newFolder(temporary);
    const { child, end } = await started(folder);
    await vi.waitFor(() => expect(existsSync(join(folder, OUT, "seed-0"))).toBe(true), 60_000);
    child.kill("SIGKILL");
    await end;
    const runs = readdirSync(join(folder, OUT, "seed-0"));
    for (const run of runs) await vi.waitFor(() => expectUnlocked(join(folder, OUT, "seed-0", run)), 60_000);
    await resumed(folder);
  });

  test("with more seeds", async () => {
    const folder = newFolder(temporary);
    await succeed([...withValue("--seeds", "1"), "--no-report"], folder);
    await succeed([...ARGS, "--resume"], folder);
    expect(metricsOf(folder)).toEqual(metricsOf(cwd));
  });

  test("not with other options", async () => {
    const text = await refused([...withValue("--lr", "0.01"), "--resume"], cwd, 78, "BAD_CONFIG");
    expect(text).toContain("lr was 0.001, is 0.01");
  });
});

describe("what is refused, before anything is written", () => {
  test.each([
    [[], "--data: expected a data set's name, folder or file: the synthetic data are noise"],
    [["--seeds", "0"], "--seeds: expected a whole number from 1 to 1000, got 0"],
    [["--seeds", "1000000"], "--seeds: expected a whole number from 1 to 1000, got 1000000"],
    [["--seeds", "few"], '--seeds: expected a whole number from 1 to 1000, got "few"'],
    [["--validation", "0"], "--validation: needed: the best epoch is chosen on the validation set"],
    [["--parallel", "0"], "--parallel: expected a whole number from 1 to 1024, got 0"],
    [["--alpha", "2"], "--alpha: expected a number from 0 to 1, got 2"],
  ])("%j", async (more, text) => {
    const folder = newFolder(temporary);
    const args = more.length === 0 ? ["compare"] : ["compare", "--data", data, ...more];
    expect(await refused(args, folder, 2, "BAD_ARGUMENT")).toContain(text);
    expect(tree(folder)).toEqual([]);
  });

  test("a teacher that does not fit", async () => {
    const folder = newFolder(temporary);
    await succeed(["train-teacher", "--epochs", "1", "--no-report", ...SMALL_TEACHER], folder);
    const teacher = join("runs", "teacher", "teacher.pth");
    const text = await refused(
      ["compare", "--data", data, ...BUDGET, "--teacher", teacher],
      folder,
      1,
      "SHAPE_MISMATCH",
    );
    expect(text).toContain(`${teacher}: takes 784 numbers a sample: rows has images of 1 x 4 x 4`);
    expect(existsSync(join(folder, OUT))).toBe(false);
  });
});
