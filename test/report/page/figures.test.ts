import { expect, test } from "vitest";
import type { ComparedBehaviour } from "../../../src/compare/behaviour.js";
import type { SampleStats } from "../../../src/compare/statistics.js";
import type { CompareReport, SweepReport } from "../../../src/report/report_data.js";
import type { Evaluation } from "../../../src/tasks/evaluation.js";
import { CHROMIUM, describeWith } from "../../helpers/needs.js";
import { NAMES, openedReports, rowsOf, unfolded } from "./support.js";

/** A difference of shares, as a page writes it. */
const points = (x: number) => `${x > 0 ? "+" : "\u2212"}${Math.abs(100 * x).toFixed(2)}`;

describeWith(CHROMIUM, "in Chromium", () => {
  const at = openedReports();

  test("the curves' numbers are those of metrics.jsonl", async () => {
    await at.open("run");
    const { history } = at.run;
    expect(await at.numbersOf("Loss")).toEqual(
      history.map(({ epoch, metrics: { loss, soft, hard, validationLoss } }) => [
        String(epoch),
        ...[loss, soft, hard, validationLoss].map((x) => (x as number).toFixed(4)),
      ]),
    );
    expect(await at.numbersOf("Learning rate")).toEqual(history.map(({ epoch, lr }) => [String(epoch), lr.toFixed(6)]));
    expect(await at.numbersOf("Accuracy on the validation set")).toEqual(
      history.map(({ epoch, metrics: { validationAccuracy, agreement } }) => [
        String(epoch),
        ...[validationAccuracy, agreement].map((x) => `${(100 * (x as number)).toFixed(2)}%`),
      ]),
    );
  });

  test("loss and gradient norm of each step", async () => {
    await at.open("run");
    const { steps } = at.run;
    expect(await at.numbersOf("Loss by step")).toEqual(steps.map(({ step, loss }) => [String(step), loss.toFixed(4)]));
    expect(await at.numbersOf("Gradient norm by step")).toEqual(
      steps.map(({ step, gradNorm }) => [String(step), String(gradNorm)]),
    );
    const clipped = steps.filter(({ gradNorm }) => gradNorm > 1).length / steps.length;
    expect(await at.figure("Gradient norm by step").locator("figcaption > .note").textContent()).toContain(
      `Each step. Before it was clipped to 1, as in ${(100 * clipped).toFixed(0)}% of them.`,
    );
  });

  test("the teacher before and after its calibration", async () => {
    await at.open("run");
    const { teacher, calibrated } = at.predictions;
    const shown = (evaluation: unknown) => `${(100 * (evaluation as Evaluation).calibration.error).toFixed(1)}%`;
    const text = await at.figure("Reliability").locator("figcaption > .note").textContent();
    expect(text).toContain(`teacher ${shown(teacher)}, student `);
    expect(text).toContain(`, calibrated teacher (logits / 1.75) ${shown(calibrated?.teacher)}.`);
  });

  test("lines are drawn where their values lie", async () => {
    await at.open("run");
    const figure = at.figure("Learning rate");
    const path = await figure.locator("svg path[fill='none'][stroke='var(--student)']").getAttribute("d");
    const points = [...(path as string).matchAll(/[ML]?(-?[\d.]+) (-?[\d.]+)/g)].map((match) => Number(match[2]));
    const rates = at.run.history.map(({ lr }) => lr);
    expect(points).toHaveLength(rates.length);
    const [top, bottom] = [Math.min(...points), Math.max(...points)];
    const [most, least] = [Math.max(...rates), Math.min(...rates)];
    for (const [i, y] of points.entries()) {
      expect((bottom - y) / (bottom - top)).toBeCloseTo(((rates[i] as number) - least) / (most - least), 2);
    }
  });

  test("confusion matrix, classes and reliability show the evaluation", async () => {
    await at.open("run");
    const [evaluation, teacher] = [at.predictions.evaluation as Evaluation, at.predictions.teacher as Evaluation];
    const matrix = await rowsOf(at.page.locator(".matrix"));
    expect(matrix.map(([name, ...cells]) => [name, ...cells.map(Number)])).toEqual(
      evaluation.confusion.map((row, i) => [NAMES[i], ...row]),
    );
    const share = (x: number) => `${(100 * x).toFixed(1)}%`;
    const classes = await at.page
      .getByRole("region", { name: "Precision, recall and F1 by class" })
      .locator("tbody tr")
      .allTextContents();
    expect(classes).toEqual(
      evaluation.perClass.map(({ precision, recall, f1, support }, i) =>
        [NAMES[i], share(precision), share(recall), share(f1), share(teacher.perClass[i]?.f1 ?? 0), support].join(""),
      ),
    );
    const bins = evaluation.calibration.bins.filter(({ count }) => count >= 10);
    const shown = (await at.numbersOf("Reliability")).filter((row) => row[2] !== "");
    expect(shown.map(([confidence, , accuracy]) => [confidence, accuracy])).toEqual(
      bins.map(({ confidence, accuracy }) => [share(confidence), share(accuracy)]),
    );
  });

  test("losses stand side by side, with corrected p values", async () => {
    await at.open("losses");
    const rows = await rowsOf(at.page.getByRole("region", { name: "Methods side by side" }));
    expect(rows.map(([name, accuracy]) => [name, accuracy])).toEqual([
      ["baseline", "81.00% \u00b1 1.00"],
      ["kd", "84.00% \u00b1 1.00"],
      ["dkd", "81.33% \u00b1 1.53"],
      ["dist", "71.00% \u00b1 1.00"],
    ]);
    const { methods } = (at.reports.losses as CompareReport).result;
    const [, , dkd] = rows;
    const { difference, againstFirst } = methods[1];
    expect([dkd[3], dkd[5]]).toEqual(["+0.33", difference.best.correctedPValue.toPrecision(2)]);
    expect([dkd[6], dkd[8]]).toEqual(["\u22122.67", againstFirst?.best.correctedPValue.toPrecision(2)]);
    const others = await rowsOf(at.page.getByRole("region", { name: "The other figures, against kd" }));
    expect(others.map(([name, figure]) => [name, figure])).toEqual([
      ["dkd", "agreement with the teacher"],
      ["dkd", "calibration error"],
      ["dist", "agreement with the teacher"],
      ["dist", "calibration error"],
    ]);
    // All seeds alike: how far chance reaches is not known.
    expect(others[1]?.slice(2)).toEqual(["50.00% \u00b1 0.00", "50.00% \u00b1 0.00", "0.00", "unknown"]);
    expect(await at.page.locator(".tile").first().textContent()).toContain("kd84.00%");
  });

  const pOf = ({ correctedPValue, significant }: { correctedPValue: number; significant: boolean }) =>
    `${correctedPValue.toPrecision(2)}${significant ? " *" : ""}`;

  test("a calibrated teacher's students stand against those of the teacher as it is", async () => {
    await at.open("both");
    const name = "The calibrated teacher against the teacher as it is";
    const rows = await rowsOf(at.page.getByRole("region", { name }));
    const { methods } = (at.reports.both as CompareReport).result;
    const [kd, dkd] = methods.flatMap(({ againstUncalibrated }) => againstUncalibrated ?? []);
    expect(rows.map(([loss, figure, ...cells]) => [loss, figure, cells[0], cells[1], cells[2], cells[4]])).toEqual([
      ["kd", "accuracy, best epoch", "85.33% \u00b1 3.06", "84.00% \u00b1 1.00", "+1.33", pOf(kd.best)],
      ["kd", "accuracy, last epoch", "84.33% \u00b1 3.06", "83.00% \u00b1 1.00", "+1.33", pOf(kd.last)],
      ["kd", "agreement with the teacher", "50.00% \u00b1 0.00", "50.00% \u00b1 0.00", "0.00", ""],
      ["kd", "calibration error", "50.00% \u00b1 0.00", "50.00% \u00b1 0.00", "0.00", ""],
      ["dkd", "accuracy, best epoch", "71.00% \u00b1 1.00", "81.33% \u00b1 1.53", "\u221210.33", pOf(dkd.best)],
      ["dkd", "accuracy, last epoch", "70.00% \u00b1 1.00", "80.33% \u00b1 1.53", "\u221210.33", pOf(dkd.last)],
      ["dkd", "agreement with the teacher", "50.00% \u00b1 0.00", "50.00% \u00b1 0.00", "0.00", ""],
      ["dkd", "calibration error", "50.00% \u00b1 0.00", "50.00% \u00b1 0.00", "0.00", ""],
    ]);
    const beside = await rowsOf(at.page.getByRole("region", { name: "Methods side by side" }));
    expect(beside.map(([name, , , , , , first]) => [name, first])).toEqual([
      ["baseline", ""],
      ["kd", ""],
      ["kd, calibrated teacher", ""],
      ["dkd", "\u22122.67"],
      ["dkd, calibrated teacher", ""],
    ]);
    const caveats = (at.reports.both as CompareReport).verdict.caveats?.join("\n");
    expect(caveats).toMatch(
      /^kd, calibrated teacher: \+1\.33 points of test accuracy against kd, teacher as it is \(/m,
    );
    expect(caveats).toMatch(/^dkd, calibrated teacher: .* corrected for 2 losses\): distinguishable from chance/m);
  });

  test("a comparison shows its figures, seed by seed", async () => {
    await at.open("compare");
    const [interval] = await at.page.locator(".interval").all();
    expect(await interval?.locator(".seed").count()).toBe(3);
    expect(await at.page.locator(".tile").allTextContents()).toEqual([
      "distilled student84.00%\u00b1 1.00",
      "baseline student81.00%\u00b1 1.00",
      expect.stringMatching(/^teacher\d+\.\d\d%$/),
    ]);
    const rows = await rowsOf(at.page.locator(".key"));
    expect(rows[0]?.slice(2)).toEqual(["81.00% \u00b1 1.00", "84.00% \u00b1 1.00"]);
    expect(rows[1]?.slice(2)).toEqual(["80.00% \u00b1 1.00", "83.00% \u00b1 1.00"]);
    expect(rows.find(([name]) => name === "parameters")).toEqual(["parameters", "4,242,954", "535,818", "535,818"]);
    const bySeed = at.page.getByRole("region", { name: "Test accuracy by seed" });
    expect(await bySeed.locator("tbody tr").first().locator("th, td").allTextContents()).toEqual([
      "0",
      "80.00%",
      "83.00%",
      "+3.00",
      "+3.00",
    ]);
    expect(await bySeed.locator("a").evaluateAll((links) => links.map((link) => link.getAttribute("href")))).toEqual(
      [0, 0, 1, 1, 2, 2].map((seed) => `seed-${seed}/distilled/`),
    );
    const { perClass, flips } = (at.reports.compare as CompareReport).result.changes as ComparedBehaviour;
    const classes = await rowsOf(
      at.page.getByRole("region", { name: "Accuracy by class, baseline against distilled" }),
    );
    expect(classes).toEqual(
      perClass.map((one) => [
        NAMES[one.class],
        ...[one.baseline, one.distilled].map((x) => `${(100 * x).toFixed(2)}%`),
        points(one.mean),
        `${points(one.low)} to ${points(one.high)}`,
        `${one.correctedPValue < 0.001 ? "below 0.001" : one.correctedPValue.toFixed(3)}${one.significant ? " *" : ""}`,
        one.support.toLocaleString("en"),
      ]),
    );
    expect(await rowsOf(at.page.getByRole("region", { name: "Fidelity to the teacher" }))).toEqual([
      ["agreement, training data", "85.00% \u00b1 7.07", "85.00% \u00b1 7.07"],
      ["agreement, test set", "85.00% \u00b1 7.07", "85.00% \u00b1 7.07"],
      ["divergence, training data", "0.1875", "0.1875"],
      ["divergence, test set", "0.1875", "0.1875"],
    ]);
    const spread = ({ mean, std }: SampleStats) => `${(100 * mean).toFixed(2)}% \u00b1 ${(100 * std).toFixed(2)}`;
    expect(await rowsOf(at.page.getByRole("region", { name: "Test samples that change sides" }))).toEqual([
      ["baseline student", spread(flips.baseline.gained), spread(flips.baseline.lost)],
    ]);
    expect(await rowsOf(at.page.getByRole("region", { name: "Calibration error" }))).toEqual([
      ["teacher", "6.25% ", "1.50", "1.56% "],
      ["baseline", "10.50% \u00b1 0.71", "1.50", "2.50% \u00b1 0.71"],
      ["distilled", "5.00% ", "none fits", ""],
    ]);
    const curve = at.page.getByRole("region", { name: "Figures by the amount of training data" });
    const { fractions = [] } = (at.reports.compare as CompareReport).result;
    expect((await rowsOf(curve)).map((row) => row.slice(0, 4))).toEqual([
      ["6.4", "10.0%", "80.00% \u00b1 1.00", "84.00% \u00b1 1.00"],
      ["64", "100.0%", "80.00% \u00b1 1.00", "84.00% \u00b1 1.00"],
    ]);
    expect(await at.numbersOf("Test accuracy by the amount of training data")).toHaveLength(fractions.length);
    // A thin line a seed and their mean, of each kind of student: in the table all of them.
    const losses = await at.numbersOf("Training loss");
    expect(losses[0]).toHaveLength(1 + 2 * (3 + 1));
    expect(losses[0]?.[1]).toBe(at.run.history[0]?.metrics.loss.toFixed(4));
    expect(losses[0]?.[4]).toBe(((at.run.history[0]?.metrics.loss as number) + 1).toFixed(4));
  });

  test("a sweep shows its grid, the chosen cell outlined", async () => {
    await at.open("sweep");
    const cells = await at.page
      .locator(".heat")
      .first()
      .locator("tbody tr")
      .evaluateAll((rows) => rows.map((row) => row.textContent));
    expect(cells).toEqual(["150.00%55.00%60.00%", "45.00%80.00%70.00%"]);
    expect(await at.page.locator(".heat .best").allTextContents()).toEqual(["80.00%", "50.00%"]);
    await unfolded(at.page.locator("details", { hasText: "All points, best first" }));
    const [first, second] = await at.page
      .getByRole("region", { name: "All points, best first" })
      .locator("tbody tr")
      .allTextContents();
    expect([first, second]).toEqual(["40.580.00%50.00%2", "40.970.00%50.00%2"]);
    // The slider begins at the chosen point's temperature.
    expect(await at.page.getByRole("slider").inputValue()).toBe("4");
  });

  test("of a regression intervals are for other seeds alone, and say so", async () => {
    await at.open("regression");
    const forest = at.page.locator("figure", { has: at.page.locator(".forest") });
    const rows = forest.locator(".forest-row");
    expect(await rows.locator("small").filter({ hasText: "seeds" }).allTextContents()).toEqual([
      "other seeds",
      "other seeds",
      "best epoch, other seeds; it chose the epochs",
    ]);
    expect(await rows.locator("strong").allTextContents()).toHaveLength(2 * 3);
    const text = await forest.locator("figcaption > .note").textContent();
    expect(text).toContain("its 95% interval. The first row is the answer. All but the last are of the test set.");
    const lead = await at.page.locator(".lead", { hasText: "Intervals are" }).textContent();
    expect(lead).toContain("Intervals are for other seeds, each of one difference");
    const curve = at.figure("Distilled minus baseline by the amount of training data");
    expect(await curve.locator("figcaption > .note").textContent()).toBe(
      "95% intervals for other seeds, each of one difference.",
    );
  });

  test("a sweep names only what its loss reads", async () => {
    await at.open("alphas");
    const heat = at.page.locator(".heat").first();
    expect(await heat.locator("caption").textContent()).toBe("R2 on the validation set: alphas across");
    expect(await heat.locator("thead td, thead th").allTextContents()).toEqual(["alpha", "0.2", "0.8"]);
    expect(await heat.locator("tbody th").allTextContents()).toEqual(["R2"]);
    const { best, points } = (at.reports.alphas as SweepReport).result;
    expect(await at.page.locator(".tile").first().textContent()).toBe(`alpha${best.alpha}`);
    expect(await at.page.locator(".aside").textContent()).toBe(
      `From here on: the student of alpha ${best.alpha}, seed 0.`,
    );
    await unfolded(at.page.locator("details", { hasText: "All points, best first" }));
    const ranking = at.page.getByRole("region", { name: "All points, best first" });
    const names = ["alpha", "R2", "agreement", "best epoch", "sd", "the best has more", "p, corrected"];
    expect(await ranking.locator("thead th").allTextContents()).toEqual(names);
    const p = points.flatMap(({ spread }) => spread?.lead?.correctedPValue ?? []);
    const shown = (await rowsOf(ranking)).map((row) => row.at(-1));
    expect(shown).toEqual(["", ...p.map((x) => (x < 0.001 ? "below 0.001" : x.toFixed(3)))]);
  });
});
