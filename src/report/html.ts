import { badArgument, expectPath } from "../checks.js";
import { builtPage, htmlPage } from "../files/html_page.js";
import { writeWhole } from "../files/index.js";
import type { TaskEvaluation } from "../tasks/evaluation.js";
import { isClassification } from "../tasks/metrics.js";
import type { Report } from "./report_data.js";

/**
 * Writes a report as one HTML file, whole or not at all: it needs no other file, no server and no network.
 *
 * @throws DistilleryError `IO_ERROR` if it can't be written.
 * @example
 * ```ts
 * const report = runReport({ config, history, networks: { student, teacher }, data: { test } });
 * await writeReport("runs/tiny/report.html", report);
 * ```
 */
export async function writeReport(file: string, report: Report): Promise<void> {
  expectPath("file", file);
  if (!KINDS.includes(Object(report ?? {}).kind)) {
    throw badArgument("report", "what runReport, compareReport or sweepReport gives", report);
  }
  await writeWhole(file, pageHtml(report, await builtPage("page")));
}

const KINDS: readonly unknown[] = ["run", "compare", "sweep"] satisfies Report["kind"][];

/** The whole page. The data are never markup: the page's script inserts them as text. */
export function pageHtml(report: Report, { script, style }: { script: string; style: string }): string {
  const { text } = htmlPage({
    title: `${report.verdict.headline} | ${report.title}`,
    style,
    body: `<div id="report"></div>
<noscript><p class="noscript">This report is drawn by the script inside this file: allow scripts to see it.</p></noscript>`,
    data: { id: "data", value: withSparseConfusion(report) },
    scripts: [{ code: script }],
    policy: ["img-src data:"],
  });
  return text;
}

/** Keeps only the nonzero counts of confusion matrices, because with many classes most counts are zero. */
function withSparseConfusion(report: Report): unknown {
  if (!("predictions" in report) || !report.predictions) return report;
  const sparse = (evaluation: TaskEvaluation | undefined) =>
    evaluation && isClassification(evaluation)
      ? { ...evaluation, confusion: evaluation.confusion.map(nonZero) }
      : evaluation;
  const { evaluation, teacher } = report.predictions;
  return {
    ...report,
    predictions: { ...report.predictions, evaluation: sparse(evaluation), teacher: sparse(teacher) },
  };
}

function nonZero(row: readonly number[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (let j = 0; j < row.length; j++) if (row[j] > 0) counts[j] = row[j];
  return counts;
}
