import { createHash } from "node:crypto";
import type { Report } from "./report_data.js";

/** What the page is made of beside its data. */
export interface PageAssets {
  script: string;
  style: string;
}

/**
 * The whole page: style, script and data in one text. Nothing of the data is markup: it stands there as JSON, and the
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

/** JSON that can't end the element that it stands in; numbers that JSON lacks become null. */
export function embeddedJson(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

/** A text as HTML shows it. */
export function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
