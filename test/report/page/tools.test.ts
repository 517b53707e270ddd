import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Evaluation } from "../../../src/index.js";
import type { CompareReport, RunReport } from "../../../src/report/report_data.js";
import { CHROMIUM, describeWith } from "../../helpers/needs.js";
import { openedReports } from "./support.js";

describeWith(CHROMIUM, "in Chromium", () => {
  const at = openedReports();

  async function saved(title: string, button: string): Promise<string> {
    const [download] = await Promise.all([
      at.page.waitForEvent("download"),
      at.figure(title).getByRole("button", { name: button }).click(),
    ]);
    expect(download.suggestedFilename()).toMatch(/^[a-z-]+\.(csv|svg)$/);
    return readFileSync(await download.path(), "utf8");
  }

  test("a figure's numbers are saved as CSV, its drawing as SVG that needs nothing of the page", async () => {
    await at.open("run");
    const csv = await saved("Learning rate", "Save CSV");
    const rows = at.run.history.map(({ epoch, lr }) => `${epoch},${lr.toFixed(6)}`);
    expect(csv).toBe(["epoch,learning rate", ...rows, ""].join("\r\n"));
    const svg = await saved("Learning rate", "Save SVG");
    expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    expect(svg).not.toContain("var(--");
    expect(at.complaints).toEqual([]);
  });

  test("what is no chart has its table, whose numbers programs can read", async () => {
    await at.open("run");
    const evaluation = (at.reports.run as RunReport).predictions?.evaluation as Evaluation;
    const { confusion, perClass } = evaluation;
    const cells = (text: string) =>
      text
        .trim()
        .split("\r\n")
        .map((line) => line.split(","));
    const [head, ...rows] = cells(await saved("Confusion matrix", "Save CSV"));
    expect(head?.[0]).toBe("true \\ predicted");
    expect(confusion.flat()).toContain(0);
    expect(rows.map(([, ...counts]) => counts)).toEqual(confusion.map((row) => row.map(String)));
    const [, first] = cells(await saved("By class", "Save CSV"));
    expect(Number(first?.[1])).toBeCloseTo(perClass[0]?.precision ?? Number.NaN, 3);
    await at.open("compare");
    const [names, agreement] = cells(await saved("Fidelity to the teacher", "Save CSV"));
    const stats = (at.reports.compare as CompareReport).result.changes?.fidelity.baseline.test?.agreement;
    expect(names).toEqual([
      "",
      "baseline",
      "baseline (standard deviation)",
      "distilled",
      "distilled (standard deviation)",
    ]);
    expect(Number(agreement?.at(-4))).toBeCloseTo(stats?.mean ?? Number.NaN, 4);
    expect(Number(agreement?.at(-3))).toBeCloseTo(stats?.std ?? Number.NaN, 4);
  });

  test("a long page has contents, which lead to its parts and say where the reader is", async () => {
    await at.open("compare");
    const contents = at.page.getByRole("navigation", { name: "Contents" });
    const titles = await at.page.locator("main > section > h2").allTextContents();
    expect(await contents.getByRole("link").allTextContents()).toEqual(titles);
    await contents.getByRole("link", { name: "To repeat it" }).click();
    expect(await at.page.evaluate(() => document.activeElement?.textContent)).toBe("To repeat it");
    await contents.getByRole("link", { name: "What else changed" }).click();
    await expect.poll(() => contents.locator("[aria-current]").allTextContents()).toContain("What else changed");
    await at.open("bare");
    expect(await at.page.locator(".contents").count()).toBe(0);
  });

  test("a network looks the same in every chart", async () => {
    await at.open("compare");
    const swatches = await at.page
      .locator("figure .legend li")
      .evaluateAll((all) =>
        all.map((li) => [(li.textContent ?? "").replace(/,.*/, ""), li.querySelector(".swatch")?.className]),
      );
    for (const [name, dash] of [
      ["teacher", "dashed"],
      ["baseline", "dotted"],
      ["distilled", "solid"],
    ]) {
      const own = swatches.filter(([which, style]) => which === name && style !== "swatch block");
      expect(own.length).toBeGreaterThan(0);
      expect(new Set(own.map(([, style]) => style))).toEqual(new Set([`swatch ${dash}`]));
    }
  });

  test("the configuration is words, not JSON", async () => {
    await at.open("run");
    for (const text of await at.page.locator(".pairs dd").allTextContents()) expect(text).not.toMatch(/^[{[]/);
  });
});
