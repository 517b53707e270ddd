import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type WatchServer, watchServer } from "../../../src/watch/index.js";
import { ended, launch, lines, succeed, userFolder } from "../../cli/support.js";
import { newPage, startBrowser } from "../../helpers/browser.js";
import { CHROMIUM, describeWith } from "../../helpers/needs.js";
import { violations } from "../../report/page/axe.js";
import { rowsOf, unfolded } from "../../report/page/support.js";
import { temporaryFolder } from "../../support.js";

const temporary = temporaryFolder();
const EPOCHS = 60;

describeWith(CHROMIUM, "in Chromium", () => {
  let cwd: string;
  const complaints: string[] = [];
  let browser: Browser;
  let server: WatchServer;
  let page: Page;

  beforeAll(async () => {
    cwd = userFolder(temporary);
    await succeed(
      ["compare", "--data", "rows.csv", "--drop-last", "--epochs", "2", "--seeds", "2", "--out", "runs/compare"],
      cwd,
    );
    browser = await startBrowser();
    server = await watchServer(join(cwd, "runs"), { port: 0 });
    page = await newPage(browser);
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(server.url);
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  const row = (name: string) => page.locator("tr", { has: page.getByText(name, { exact: false }) }).first();
  const state = (name: string) => row(name).locator(".state");
  const lossesIn = (file: string) =>
    lines(readFileSync(join(cwd, "runs", file, "metrics.jsonl"), "utf8")).map((line) => {
      const { epoch, loss } = JSON.parse(line) as { epoch: number; loss: number };
      return [String(epoch), loss.toFixed(4)];
    });

  test("a comparison's runs lie over each other, and its report opens", async () => {
    await page.goto(server.url);
    await row("compare compare").waitFor();
    expect(await page.locator("tbody tr", { hasText: "compare" }).count()).toBe(1 + 1 + 2 * 2);
    const figure = page.locator("figure", { has: page.getByRole("heading", { name: "Training loss" }) });
    expect(await figure.locator(".legend li").allTextContents()).toEqual([
      "compare/seed-0/baseline",
      "compare/seed-0/distilled",
      "compare/seed-1/baseline",
      "compare/seed-1/distilled",
      "compare/teacher",
    ]);
    const numbers = await rowsOf(await unfolded(figure.locator("details")));
    expect(numbers.map(([epoch, first]) => [epoch, first])).toEqual(lossesIn("compare/seed-0/baseline"));
    await page.getByRole("checkbox", { name: "compare/teacher" }).uncheck();
    expect(await figure.locator(".legend li").count()).toBe(4);
    expect((await rowsOf(figure))[0]).toHaveLength(1 + 4);
    const [opened] = await Promise.all([
      page.waitForEvent("popup"),
      page.getByRole("link", { name: "report of compare" }).click(),
    ]);
    await opened.locator("h1").waitFor();
    expect(await opened.title()).toContain("Comparison on rows");
    await opened.close();
  });

  test("axe finds nothing, light and dark, on a desktop and a phone", async () => {
    for (const [width, colorScheme] of [
      [1280, "light"],
      [390, "dark"],
    ] as const) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme });
      expect(await violations(page), `${width} ${colorScheme}`).toEqual([]);
    }
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.emulateMedia({ colorScheme: "light" });
  });

  test("a run of another process is followed, dies, and comes back", async () => {
    await page.goto(`${server.url}#live`);
    await page.reload();
    const args = [
      "distill",
      "--data",
      "rows.csv",
      "--drop-last",
      "--epochs",
      String(EPOCHS),
      "--out",
      "runs/live",
      "--student",
    ];
    const train = (...more: string[]) =>
      launch(
        [
          ...args,
          "mlp(hidden=[400])",
          "--teacher",
          "runs/compare/teacher/teacher.pth",
          "--teacher-network",
          "teacher",
          "--loss",
          "./slow.mjs",
          ...more,
        ],
        cwd,
      );
    writeFileSync(
      join(cwd, "slow.mjs"),
      "import { F } from 'distillery';\nexport default () => ({ student, teacher }) => { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20); return F.mseLoss(student.logits, teacher.logits); };\n",
    );
    const first = train();
    const end = ended(first);
    await state("live").getByText("running").waitFor();
    const figure = page.locator("figure", { has: page.getByRole("heading", { name: "Training loss" }) });
    await figure.waitFor();
    first.kill("SIGKILL");
    await end;
    await state("live").getByText("stopped").waitFor();
    const second = ended(train("--resume"));
    await state("live").getByText("running").waitFor();
    expect((await second).code).toBe(0);
    await state("live").getByText("done").waitFor();
    await expect.poll(() => row("live").locator("td").nth(1).textContent()).toBe(`${EPOCHS} of ${EPOCHS}`);
    expect(await rowsOf(await unfolded(figure.locator("details")))).toEqual(lossesIn("live"));
  });

  test("no connection is said, and is taken up again", async () => {
    const { port } = new URL(server.url);
    await server.close();
    await page.getByText("No connection").waitFor();
    complaints.length = 0;
    server = await watchServer(join(cwd, "runs"), { port: Number(port) });
    await page.getByText("Followed live").waitFor();
  });

  test("nothing was complained about", () =>
    expect(complaints.filter((text) => !text.includes("ERR_CONNECTION_REFUSED"))).toEqual([]));
});
