import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CHROMIUM, describeWith } from "../../helpers/needs.js";
import { KINDS, openedReports } from "./support.js";

describeWith(CHROMIUM, "in Chromium", () => {
  const at = openedReports();

  test.each(KINDS)(
    "%s: opens from the disk without a complaint, fetches nothing, runs no foreign script",
    async (kind) => {
      await at.open(kind);
      for (const plot of await at.page.locator(".plot").all()) await plot.hover();
      expect(at.complaints).toEqual([]);
      expect(at.requests.filter((url) => !url.startsWith("data:"))).toEqual([at.page.url()]);
      expect(await at.page.evaluate(() => "hacked" in window)).toBe(false);
      // Images are those of the data, and nothing became markup.
      expect(await at.page.locator("b, img:not([src^='data:image/png;base64,'])").count()).toBe(0);
      expect(await at.page.locator("h1").textContent()).toBe(at.reports[kind].verdict.headline);
      expect(await at.page.title()).toBe(`${at.reports[kind].verdict.headline} | ${at.reports[kind].title}`);
    },
  );

  test("a foreign script could not run, and an image from elsewhere would not load", async () => {
    await at.open("run");
    await at.page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "window.hacked = 1";
      const image = document.createElement("img");
      image.src = "http://localhost:9/x";
      document.body.append(script, image);
    });
    expect(await at.page.evaluate(() => "hacked" in window)).toBe(false);
    expect(at.complaints).toHaveLength(2);
    for (const complaint of at.complaints) expect(complaint).toContain("Content Security Policy");
  });

  test("the data in the file are the report's", async () => {
    const html = readFileSync(join(at.folder, "run.html"), "utf8");
    const [, text = ""] = /id="data">(.*?)<\/script>/s.exec(html) ?? [];
    const report = JSON.parse(JSON.stringify(at.reports.run));
    // Of the confusion matrix the file has what is not zero.
    const nonZero = (row: number[]) => Object.fromEntries(Object.entries(row).filter(([, count]) => count > 0));
    for (const evaluation of [report.predictions.evaluation, report.predictions.teacher]) {
      if (evaluation) evaluation.confusion = evaluation.confusion.map(nonZero);
    }
    expect(JSON.parse(text)).toEqual(report);
  });
});
