import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { readWhole, writeWhole } from "../files/index.js";
import { ROOT } from "../package.js";
import type { Report } from "./report_data.js";

/** Where scripts/build_report.mjs puts them. */
const BUILT = new URL("dist/report/", ROOT);

/**
 * Writes a report as one HTML file, whole or not at all: it needs no other file, no server and no network.
 *
 * @throws DistilleryError `IO_ERROR` if it can't be written.
 * @example
 * ```ts
 * await writeReport("runs/tiny/report.html", runReport({ config, history, networks: { student, teacher }, data: { test } }));
 * ```
 */
export async function writeReport(file: string, report: Report): Promise<void> {
  expectText("file", file);
  const [script, style] = await Promise.all(["page.js", "page.css"].map(readBuilt));
  await writeWhole(file, pageHtml(report, { script: script as string, style: style as string }));
}

async function readBuilt(name: string): Promise<string> {
  return Buffer.from(await readWhole(fileURLToPath(new URL(name, BUILT)))).toString();
}

/** What the page is made of beside its data. */
interface PageAssets {
  script: string;
  style: string;
}

/**
 * The whole page: style, script and data in one text. Nothing of the data is markup: it is embedded as JSON, and the
 * script puts it into the page as text. The page's own rules let no other script run and nothing be fetched.
 */
export function pageHtml(report: Report, { script, style }: PageAssets): string {
  const code = script.trim();
  const hash = createHash("sha256").update(code).digest("base64");
  const rules = `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-${hash}'`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${rules}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="Distillery">
<title>${escapeText(`${report.verdict.headline} | ${report.title}`)}</title>
<style>
${style.trim()}
</style>
</head>
<body>
<div id="report"></div>
<noscript><p class="noscript">This report is drawn by the script inside this file: allow scripts to see it.</p></noscript>
<script type="application/json" id="data">${embeddedJson(report)}</script>
<script>${code}</script>
</body>
</html>
`;
}

/** JSON that can't end the element that holds it; numbers that JSON lacks become null. */
export function embeddedJson(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

/** A text as HTML shows it. */
function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Refuses anything but a text that is not empty. */
function expectText(name: string, value: unknown): void {
  if (typeof value === "string" && value !== "") return;
  throw new DistilleryError("BAD_ARGUMENT", `${name}: expected a text, got ${show(value)}`);
}
