import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { embeddedJson } from "../../src/files/html_page.js";
import { pageHtml } from "../../src/report/html.js";
import { runReport, writeReport } from "../../src/report/index.js";
import { type Trained, trained } from "./support.js";

const folder = mkdtempSync(join(tmpdir(), "distillery-report-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const EVIL = `</script><script>alert(1)</script><!--\u2028"'&<img src=x onerror=alert(1)>`;
let run: Trained;
beforeAll(async () => {
  run = await trained(
    0,
    Array.from({ length: 8 }, (_, i) => `${EVIL}${i}`),
  );
});

function evilReport() {
  const { teacher, student, test: data, history } = run;
  const config = { [EVIL]: EVIL, data: EVIL };
  return runReport({
    config,
    history,
    networks: { teacher, student },
    data: { test: data },
    command: EVIL,
    title: EVIL,
  });
}

test("what is embedded can't end its element, and is read back as it was", () => {
  const text = embeddedJson({ [EVIL]: [EVIL] });
  expect(text).not.toContain("<");
  expect(JSON.parse(text)).toEqual({ [EVIL]: [EVIL] });
  // JSON has no infinity and no NaN.
  expect(embeddedJson([Infinity, Number.NaN])).toBe("[null,null]");
});

test("names, paths and configuration are no markup anywhere in the file", () => {
  const html = pageHtml(evilReport(), { script: "go()", style: "p { color: red }" });
  expect(html.match(/<script/g)).toHaveLength(2);
  expect(html.match(/<\/script>/g)).toHaveLength(2);
  expect(html).not.toMatch(/<img|<!--|alert\(1\)<\/script>/);
  expect(html).toContain("| &lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;!--");
});

test("only the page's own script may run, and nothing may be fetched", () => {
  const html = pageHtml(evilReport(), { script: "\ngo()\n", style: "" });
  // printf 'go()' | openssl dgst -sha256 -binary | base64
  const hash = "sha256-5KYv+PUboo5h+0+YAtGRPbwv5d/QxzHslP4YGnUaxRw=";
  expect(html).toContain(
    `content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '${hash}'"`,
  );
  expect(html).toContain("<script>go()</script>");
});

test("the file stands by itself, below 700 kB for a run, with the licences of what it draws with", async () => {
  const file = join(folder, "report.html");
  await writeReport(file, evilReport());
  const html = readFileSync(file, "utf8");
  expect(html.length).toBeLessThan(700_000);
  const expected = ['<!doctype html>\n<html lang="en">', "Apache License 2.0", "Copyright (c) 2017, Baidu Inc."];
  expect(expected.map((text) => html.includes(text))).toEqual([true, true, true]);
  const embedded = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html)?.[1] as string;
  expect(JSON.parse(embedded).history).toEqual(run.history);
});

test("it does not grow with the square of the classes", () => {
  const report = evilReport();
  const size = (classes: number) => {
    const confusion = Array.from({ length: classes }, (_, i) =>
      Array.from({ length: classes }, (_, j) => Number(i === j)),
    );
    const predictions = report.predictions && {
      ...report.predictions,
      evaluation: { ...report.predictions.evaluation, confusion },
    };
    return pageHtml({ ...report, predictions } as typeof report, { script: "", style: "" }).length;
  };
  expect(size(200) - size(100)).toBeLessThan(100 * 20);
});

test("it is written whole or not at all", async () => {
  const taken = join(folder, "taken");
  mkdirSync(taken);
  await expect(writeReport(taken, evilReport())).rejects.toMatchObject({ code: "IO_ERROR" });
  const nowhere = join(folder, "no", "report.html");
  await expect(writeReport(nowhere, evilReport())).rejects.toMatchObject({ code: "IO_ERROR" });
  expect([existsSync(nowhere), readdirSync(taken)]).toEqual([false, []]);
  for (const report of [null, {}, 1]) {
    await expect(writeReport(join(folder, "none.html"), report as never)).rejects.toMatchObject({
      code: "BAD_ARGUMENT",
      message: expect.stringMatching(/^report: expected what runReport, compareReport or sweepReport gives, got /),
    });
  }
  await expect(writeReport("", evilReport())).rejects.toMatchObject({
    code: "BAD_ARGUMENT",
    message: 'file: expected the name of a file, got ""',
  });
});
