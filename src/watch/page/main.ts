import { h } from "../../page/dom.js";
import { comparePage } from "../../report/page/compare_page.js";
import { addContents, markCurrent } from "../../report/page/contents.js";
import { repeatSection } from "../../report/page/repeat.js";
import { runPage } from "../../report/page/run_page.js";
import { section } from "../../report/page/sections.js";
import { sweepPage } from "../../report/page/sweep_page.js";
import type { Report } from "../../report/report_data.js";
import { showRuns } from "./show_runs.js";

// One script for reports and for the page that follows runs: the charts are most of it, and the package would have them
// twice.
const data = document.getElementById("data")?.textContent;
if (data) showReport(data);
else showRuns();

/** Draws a report, from its data as JSON. */
function showReport(data: string): void {
  const report = JSON.parse(data) as Report;
  const main = h("main", {}, ...pageOf(report), section("To repeat it", ...repeatSection(report)));
  addContents(main);
  document.getElementById("report")?.append(main);
  markCurrent(main);
}

function pageOf(report: Report): (HTMLElement | null)[] {
  if (report.kind === "run") return runPage(report);
  return report.kind === "compare" ? comparePage(report) : sweepPage(report);
}
