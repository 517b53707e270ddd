import { formatSeconds } from "../../log/time_left.js";
import { h, newId } from "../../page/dom.js";
import { scrolling } from "../../report/page/table.js";
import { short } from "../../report/text.js";
import { showMetric } from "../../tasks/metrics.js";
import { bestOf, type Run, type ShownRun } from "./runs.js";

const COLUMNS = ["run", "state", "epoch", "best validation", "loss", "report"] as const;

/** All runs, a row each, with a box for its curves; a row stays the same element while its run goes on. */
export class RunTable {
  readonly #body = h("tbody");
  readonly #rows = new Map<string, Row>();
  readonly element: HTMLElement;

  constructor(private readonly choose: (path: string, isShown: boolean) => void) {
    const head = COLUMNS.map((name) => h("th", { scope: "col", class: name === "run" ? "text" : "" }, name));
    const whole = h(
      "table",
      { class: "runs" },
      h("caption", { class: "unseen" }, "The runs of the folder"),
      h("thead", {}, h("tr", {}, ...head)),
      this.#body,
    );
    this.element = scrolling(whole, "The runs of the folder");
  }

  update(runs: readonly Run[], shown: readonly ShownRun[]): void {
    const styles = new Map(shown.map(({ run, style }) => [run.path, style]));
    const rows = runs.map((run) => {
      const row = this.#rows.get(run.path) ?? new Row(run, this.choose);
      this.#rows.set(run.path, row);
      const below = shown.some(({ run: one }) => one.path.startsWith(`${run.path}/`) || run.path === "");
      row.update(run, styles.get(run.path), run.records.length === 0 && below);
      return row.element;
    });
    const paths = new Set(runs.map(({ path }) => path));
    for (const path of this.#rows.keys()) if (!paths.has(path)) this.#rows.delete(path);
    const isSame = rows.length === this.#body.children.length && rows.every((row, i) => row === this.#body.children[i]);
    // Moving a row would take the focus from its box.
    if (!isSame) this.#body.replaceChildren(...rows);
  }
}

class Row {
  readonly element: HTMLElement;
  readonly #box = h("input", { type: "checkbox", id: newId("run") });
  readonly #swatch = h("span", { class: "swatch", "aria-hidden": "true" });
  readonly #cells = [h("td"), h("td"), h("td"), h("td"), h("td")] as const;

  constructor({ path, command }: Run, choose: (path: string, isShown: boolean) => void) {
    this.#box.addEventListener("change", () => choose(path, this.#box.checked));
    const label = h("label", { for: this.#box.id }, path || ".", " ", h("small", {}, command));
    const name = h("div", { class: "run-name" }, this.#box, this.#swatch, label);
    this.element = h("tr", {}, h("th", { scope: "row", class: "text" }, name), ...this.#cells);
  }

  update(run: Run, style: ShownRun["style"] | undefined, hasShownBelow: boolean): void {
    this.#box.checked = style !== undefined || hasShownBelow;
    this.#swatch.className = `swatch ${style?.dash ?? ""}`;
    this.#swatch.style.setProperty("--colour", style === undefined ? "transparent" : `var(${style.colour})`);
    const { state, epochs, records } = run;
    const [last, best] = [records.at(-1), bestOf(run)];
    const [first, epoch, validation, loss, report] = this.#cells;
    first.className = `state ${state}`;
    const left = state === "running" && last !== undefined ? secondsLeft(run) : null;
    first.replaceChildren(state, left === null ? "" : h("small", {}, ` ${formatSeconds(left)} left`));
    epoch.replaceChildren(last === undefined || epochs === null ? "" : `${last.epoch} of ${epochs}`);
    validation.replaceChildren(best === null ? "" : showMetric(best.metric, best.value));
    loss.replaceChildren(typeof last?.metrics.loss === "number" ? short(last.metrics.loss) : "");
    const address = `/runs/${run.path === "" ? "" : `${run.path.split("/").map(encodeURIComponent).join("/")}/`}report.html`;
    const link = h(
      "a",
      { href: address, target: "_blank", "aria-label": `open the report of ${run.path || run.command}` },
      "open",
    );
    report.replaceChildren(run.hasReport ? link : "");
  }
}

/** By the pace of the newest epochs. */
function secondsLeft({ records, epochs }: Run): number | null {
  const newest = records.slice(-Math.ceil(records.length / 2));
  const pace = newest.reduce((sum, { seconds }) => sum + seconds, 0) / newest.length;
  const left = (epochs ?? 0) - (records.at(-1)?.epoch ?? 0);
  return left <= 0 || !Number.isFinite(pace) ? null : left * pace;
}
