import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { compareReport, type Report, runReport, sweepReport, writeReport } from "../../../src/report/index.js";
import type { RunReport } from "../../../src/report/report_data.js";
import { newPage, startBrowser } from "../../helpers/browser.js";
import { CLASSES, compareResult, regressionResults, sweepResult, type Trained, trained } from "../support.js";

/** A text that would run a script and fetch a image, were it taken for markup. */
export const EVIL = `</script><script>window.hacked = 1</script><img src="http://localhost:9/x" onerror="window.hacked = 1">`;
export const NAMES: readonly string[] = Array.from({ length: CLASSES }, (_, i) => `${i} <b>${EVIL}</b>`);
export const KINDS = ["run", "bare", "compare", "one seed", "sweep", "losses", "both", "regression", "alphas"] as const;
export type Kind = (typeof KINDS)[number];

/** What the tests of a file look at: a report of each kind, and a fresh page for each test. */
export class Opened {
  run!: Trained;
  reports!: Record<Kind, Report>;
  page!: Page;
  /** What was asked for, and what the console said. */
  requests: string[] = [];
  complaints: string[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), "distillery-report-"));

  /** Opens a report and waits for its charts. */
  async open(kind: Kind): Promise<void> {
    await this.page.goto(pathToFileURL(join(this.folder, `${kind}.html`)).href);
    await this.page.waitForFunction(() =>
      Array.from(document.querySelectorAll(".plot")).every((plot) => plot.querySelector("svg")),
    );
  }

  /** The predictions of the run's student. */
  get predictions(): NonNullable<RunReport["predictions"]> {
    return this.reports.run.predictions as NonNullable<RunReport["predictions"]>;
  }

  figure(title: string): Locator {
    return this.page.locator("figure", { has: this.page.getByRole("heading", { name: title, exact: true }) });
  }

  /** The table behind a chart, which this unfolds. */
  async numbersOf(title: string): Promise<string[][]> {
    return rowsOf(await unfolded(this.figure(title).locator("details")));
  }
}

/** Unfolds `details` and waits for what it holds: it is made after the click, on the browser's own time. */
export async function unfolded(details: Locator): Promise<Locator> {
  await details.locator("summary").click();
  await details.locator("summary + *").first().waitFor();
  return details;
}

/** The rows of a table, cell by cell. */
export function rowsOf(table: Locator): Promise<string[][]> {
  return table
    .locator("tbody tr")
    .evaluateAll((rows) => rows.map((row) => Array.from(row.children, (cell) => cell.textContent ?? "")));
}

type Regression = Awaited<ReturnType<typeof regressionResults>>;

/** Writes the reports and starts the browser, for the tests of one file. */
export function openedReports(): Opened {
  const opened = new Opened();
  let browser: Browser;

  beforeAll(async () => {
    opened.run = await trained(0, NAMES);
    const regression = await regressionResults(opened.folder);
    opened.reports = reportsOf(opened.run, regression);
    for (const kind of KINDS) await writeReport(join(opened.folder, `${kind}.html`), opened.reports[kind]);
    browser = await startBrowser();
  });

  afterAll(async () => {
    await browser?.close();
    rmSync(opened.folder, { recursive: true, force: true });
  });

  beforeEach(async () => {
    const page = await newPage(browser, { viewport: { width: 1200, height: 900 } });
    Object.assign(opened, { page, requests: [], complaints: [] });
    page.on("request", (request) => opened.requests.push(request.url()));
    page.on("console", (message) => opened.complaints.push(message.text()));
    page.on("pageerror", (error) => opened.complaints.push(String(error)));
  });

  afterEach(() => opened.page.close());
  return opened;
}

function reportsOf(run: Trained, regression: Regression): Record<Kind, Report> {
  const { teacher, student, test, history, steps, best } = run;
  const networks = { student, teacher };
  const config = { command: "distill", temperature: 2.5, [EVIL]: EVIL, dataHash: "ab".repeat(32) };
  const extras = { networks, test, command: `distillery compare --data '${EVIL}'` };
  const accuracies: [number[], number[]] = [
    [0.8, 0.81, 0.82],
    [0.83, 0.85, 0.84],
  ];
  return {
    run: runReport({
      config: { ...config, teacherTemperature: 1.75, maxGradNorm: 1 },
      history,
      steps,
      networks: { ...networks, best },
      data: { test },
      command: EVIL,
      title: EVIL,
    }),
    bare: runReport({ config, history: history.slice(0, 1), networks: { student } }),
    compare: compareReport(compareResult(run, ...accuracies), extras),
    losses: compareReport(compareResult(run, ...accuracies, [0.81, 0.8, 0.83], [0.7, 0.71, 0.72]), extras),
    both: compareReport(
      compareResult(run, ...accuracies, [0.82, 0.86, 0.88], [0.81, 0.8, 0.83], [0.7, 0.71, 0.72]),
      extras,
    ),
    "one seed": compareReport(compareResult(run, [0.5], [0.6]), { title: EVIL }),
    regression: compareReport(regression.compare),
    alphas: sweepReport(regression.sweep),
    sweep: ofTexts(sweepReport(sweepResult(run, [0.5, 0.55, 0.6, 0.05, 0.8, 0.7]), extras)),
  };
}

/** The second of them is unfolded by those who want to read it. */
export const TEXTS = [EVIL, `${"word ".repeat(60)}${EVIL}`];

/** A row, a column of which has a name that is longer than a line. */
const CELLS = { ["pct_households_below_poverty_line_".repeat(6)]: 1.5, x: null };

/** The same of texts in lines of a file instead of images. */
function ofTexts<R extends { predictions: NonNullable<RunReport["predictions"]> }>(report: R): R {
  const mistakes = report.predictions.mistakes.map(({ image: _, ...mistake }, i) => ({
    ...mistake,
    source: { file: "reviews.jsonl", line: i + 2 },
    text: TEXTS[i % TEXTS.length],
    cells: CELLS,
  }));
  return { ...report, predictions: { ...report.predictions, mistakes } };
}
