import { fileURLToPath } from "node:url";
import { readWhole, writeWhole } from "../files/index.js";
import { ROOT } from "../package.js";
import { expectText } from "./arguments.js";
import { pageHtml } from "./page_html.js";
import type { Report } from "./report_data.js";

/** Where scripts/build_report.mjs puts them. */
const BUILT = new URL("dist/report/", ROOT);

/**
 * Writes a report as one HTML file, whole or not at all: it needs no other file, no server and no network.
 *
 * @throws DistilleryError `IO_ERROR` where it can't be written.
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
