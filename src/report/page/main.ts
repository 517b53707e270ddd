import { h } from "../../page/dom.js";
import type { Report } from "../report_data.js";
import { comparePage } from "./compare_page.js";
import { addContents, markCurrent } from "./contents.js";
import { repeatSection } from "./repeat.js";
import { runPage } from "./run_page.js";
import { section } from "./sections.js";
import { sweepPage } from "./sweep_page.js";

const report = JSON.parse(document.getElementById("data")?.textContent ?? "null") as Report;
const main = h("main", {}, ...pageOf(report), section("To repeat it", ...repeatSection(report)));
addContents(main);
document.getElementById("report")?.append(main);
markCurrent(main);

function pageOf(report: Report): (HTMLElement | null)[] {
  if (report.kind === "run") return runPage(report);
  return report.kind === "compare" ? comparePage(report) : sweepPage(report);
}
