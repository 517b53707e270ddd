import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { CompareResult, Evaluation, SweepResult } from "../../src/index.js";
import type { CompareReport, RunReport, SweepReport } from "../../src/report/report_data.js";
import { temporaryFolder } from "../support.js";
import { imageFolder, jsonLines, newFolder, SMALL, succeed } from "./support.js";

const temporary = temporaryFolder();
const BUDGET = ["--data", imageFolder(), "--epochs", "2", "--batch-size", "16", "--lr", "0.01"];

const textOf = (...path: string[]) => readFileSync(join(...path), "utf8");
const embedded = (folder: string): unknown =>
  JSON.parse(
    /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(textOf(folder, "report.html"))?.[1] ?? "",
    // Its rows lack the zeros.
    (key, value) =>
      key === "confusion"
        ? value.map((row: object) =>
            Object.assign(
              value.map(() => 0),
              row,
            ),
          )
        : value,
  );
/** The report shows one confusion matrix, and leaves those of the other networks out. */
const withoutConfusion = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, own) => (key === "confusion" ? undefined : own)));
/** The records of a run, as its metrics.jsonl has them. */
const metricsOf = (folder: string) => jsonLines(textOf(folder, "metrics.jsonl"));
const rows = (history: RunReport["history"]) =>
  history.map(({ metrics, ...rest }) => ({ ...rest, ...metrics }) as Record<string, unknown>);

/** The figures beside accuracy are those of the same evaluations: by class, fidelity, calibration, flips. */
function expectOneStory(result: Omit<CompareResult, "config">): void {
  const { changes, baseline, distilled, difference, data } = result;
  if (changes === null) throw new TypeError("a comparison of classes has none");
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  for (const [kind, { evaluations }] of Object.entries({ baseline, distilled })) {
    const all = evaluations as Evaluation[];
    const of = kind as "baseline" | "distilled";
    expect(changes.fidelity[of].test?.agreement.values).toEqual(all.map(({ agreement }) => agreement));
    expect(changes.calibration[of].error.values).toEqual(all.map(({ calibration }) => calibration.error));
    for (const one of changes.perClass) {
      const [{ support } = { support: 0 }] = all.map(({ perClass }) => perClass[one.class] ?? { support: 0 });
      expect(one.support).toBe(support);
      expect(one[of]).toBeCloseTo(mean(all.map(({ perClass }) => perClass[one.class]?.recall ?? Number.NaN)), 12);
    }
  }
  const { gained, lost } = changes.flips.baseline;
  for (const [i, value] of difference.best.values.entries()) {
    expect((gained.values[i] ?? 0) - (lost.values[i] ?? 0)).toBeCloseTo(value, 12);
  }
  const total = changes.perClass.reduce((sum, one) => sum + one.mean * one.support, 0);
  expect(total / data.test).toBeCloseTo(difference.best.mean, 12);
}

const points = (x = Number.NaN) => `${x > 0 ? "+" : ""}${(100 * x).toFixed(2)}`;

test("the report of a run has the figures of metrics.jsonl and of what was printed", async () => {
  const cwd = newFolder(temporary);
  const end = jsonLines(
    await succeed(
      ["train-teacher", ...BUDGET, ...SMALL.slice(0, 2), "--validation", "0.2", "--out", "t", "--json"],
      cwd,
    ),
  ).at(-1);
  const report = embedded(join(cwd, "t")) as RunReport;
  expect(rows(report.history)).toEqual(metricsOf(join(cwd, "t")));
  const { evaluation, best } = end as { evaluation: object; best: { evaluation: object } };
  expect(report.predictions?.evaluation).toEqual(best.evaluation ?? evaluation);
  expect(report.sizes.student.bytes).toBe(statSync(join(cwd, "t", "teacher_best.safetensors")).size);
});

test("the reports of a comparison and of a sweep have the figures of compare.json, sweep.json and metrics.jsonl", async () => {
  const cwd = newFolder(temporary);
  const both = ["--calibrate-teacher", "both", "--seeds", "2", "--out", "c"];
  const printed = await succeed(["compare", ...BUDGET, ...SMALL, ...both], cwd);
  const { config, ...result } = JSON.parse(textOf(cwd, "c", "compare.json")) as CompareResult;
  const compared = embedded(join(cwd, "c")) as CompareReport;
  expect(withoutConfusion([compared.result, compared.config])).toEqual(withoutConfusion([result, config]));
  for (const [i, seed] of result.seeds.entries()) {
    for (const [kind, folder] of [
      ["baseline", "baseline"],
      ["distilled", "distilled"],
    ] as const) {
      expect(rows(compared.result[kind].histories[i] ?? [])).toEqual(metricsOf(join(cwd, "c", `seed-${seed}`, folder)));
    }
  }
  expectOneStory(result);
  // The way that it is about: each student's temperature is in its run, and the difference in the terminal.
  const [plain, calibrated] = result.methods;
  expect(printed).toContain(
    `${plain?.loss}, calibrated teacher: ${points(calibrated?.againstUncalibrated?.best.mean)} points of test accuracy against ${plain?.loss}, teacher as it is`,
  );
  const { teacherTemperature } = JSON.parse(textOf(cwd, "c", "seed-0", "distilled@calibrated", "config.json"));
  expect(teacherTemperature).toBeGreaterThan(0);
  expect(plain?.best).toEqual(result.distilled.best);

  const teacher = ["--teacher", join("c", "teacher", "teacher_best.safetensors")];
  const grid = ["--temperatures", "1,4", "--alphas", "0.5", "--seeds", "2"];
  await succeed(["sweep", ...BUDGET, ...SMALL.slice(2), ...teacher, ...grid, "--out", "s"], cwd);
  const { config: options, ...found } = JSON.parse(textOf(cwd, "s", "sweep.json")) as SweepResult;
  const swept = embedded(join(cwd, "s")) as SweepReport;
  expect(withoutConfusion([swept.result, swept.config])).toEqual(withoutConfusion([found, options]));
  for (const { temperature, alpha, history, spread } of swept.result.points) {
    const run = join(`temperature-${temperature}`, `alpha-${alpha}`);
    expect(rows(history)).toEqual(metricsOf(join(cwd, "s", run)));
    const bests = [run, join("seed-1", run)].map((at) =>
      Math.max(...metricsOf(join(cwd, "s", at)).map(({ validationAccuracy }) => validationAccuracy as number)),
    );
    expect(spread?.figure.values).toEqual(bests);
  }
});
