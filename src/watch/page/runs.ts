import type { EpochRecord } from "../../log/epoch_record.js";
import type { Line } from "../../report/page/line_chart.js";
import { counted } from "../../report/text.js";
import { showCount } from "../../show.js";
import { epochKey, isBetter, type Metric, metricOfKey } from "../../tasks/metrics.js";
import type { Changes, WatchedRun } from "../watched_run.js";

/** A run with all of its records, as the page knows it. */
export interface Run extends WatchedRun {
  readonly records: readonly EpochRecord[];
}

/** A run whose curves are shown, with the look of its lines in every chart. */
export interface ShownRun {
  readonly run: Run;
  readonly style: Omit<Line, "points">;
}

const COLOURS = 8;
const DASHES = ["solid", "dashed", "dotted"] as const;
/** How many runs are selected by default. */
const MAX_SHOWN = COLOURS;

/** The runs that the page knows, and which of them are chosen. */
export class Runs {
  #runs = new Map<string, Run>();
  /** The runs that the reader chose; null before the first choice. */
  #chosen: Set<string> | null = null;

  replace(all: Changes): void {
    this.#runs = new Map();
    this.apply(all);
  }

  apply({ changed, removed }: Changes): void {
    for (const path of removed) this.#runs.delete(path);
    for (const { from, records, ...run } of changed) {
      const before = this.#runs.get(run.path)?.records.slice(0, from) ?? [];
      this.#runs.set(run.path, { ...run, records: [...before, ...records] });
    }
  }

  choose(path: string, isShown: boolean): void {
    const shown = this.shown().map(({ run }) => run.path);
    if (isShown) this.#chosen = new Set([...(this.#chosen ?? shown), path]);
    // What was chosen may be an experiment above it, or runs below it.
    else this.#chosen = new Set(shown.filter((at) => !this.#standsFor(path, at)));
  }

  /** Chooses a run and those below it. */
  showOnly(path: string): void {
    this.#chosen = new Set([path]);
  }

  /** The runs, an experiment's below it; what runs comes first, then what changed last. */
  ordered(): Run[] {
    const groups = new Map<string, Run[]>();
    for (const run of this.#runs.values()) {
      const top = this.#topOf(run.path);
      const group = groups.get(top);
      if (group === undefined) groups.set(top, [run]);
      else group.push(run);
    }
    const rank = (group: readonly Run[]) => [
      Number(group.some(({ state }) => state === "running")),
      Math.max(...group.map(({ changed }) => changed)),
    ];
    const byRank = (a: readonly Run[], b: readonly Run[]) => rank(b)[0] - rank(a)[0] || rank(b)[1] - rank(a)[1];
    const byPath = (a: Run, b: Run) => a.path.localeCompare(b.path, "en", { numeric: true });
    return [...groups.values()].sort(byRank).flatMap((group) => group.sort(byPath));
  }

  /** The runs whose curves are shown: what was chosen, otherwise what runs, otherwise what ran last. */
  shown(): ShownRun[] {
    const withCurves = this.ordered().filter(({ records }) => records.length > 0);
    const running = withCurves.filter(({ state }) => state === "running");
    const usual = (running.length > 0 ? running : withCurves).slice(0, MAX_SHOWN);
    const chosen = this.#chosen;
    const isChosen = ({ path }: Run) => [...(chosen ?? [])].some((at) => this.#standsFor(at, path));
    const shown = chosen === null ? usual : withCurves.filter(isChosen);
    return shown.map((run, i) => ({
      run,
      style: {
        name: run.path || run.command,
        colour: `--run-${(i % COLOURS) + 1}`,
        dash: DASHES[Math.floor(i / COLOURS) % DASHES.length],
      },
    }));
  }

  /** The shortest path of a run that is above a run, or its own. */
  #topOf(path: string): string {
    return pathsDownTo(path).find((at) => this.#runs.has(at)) ?? path;
  }

  /** A run stands for itself, an experiment for its runs. */
  #standsFor(above: string, path: string): boolean {
    return above === path || (pathsDownTo(path).includes(above) && this.#runs.get(above)?.records.length === 0);
  }

  summary(): string {
    const all = [...this.#runs.values()];
    if (all.length === 0) return "No run yet: the first one appears by itself.";
    const texts = (["running", "done", "stopped"] as const).map((state) => {
      const n = all.filter((run) => run.state === state).length;
      return n === 0 ? "" : `${showCount(n)} ${state}`;
    });
    return `${counted(all.length, "folder")}: ${texts.filter((text) => text !== "").join(", ")}. Followed live.`;
  }
}

/** The watched folder, which has no name, the folders on the way to a path, and the path itself. */
function pathsDownTo(path: string): string[] {
  const parts = path === "" ? [] : path.split("/");
  return ["", ...parts.map((_, i) => parts.slice(0, i + 1).join("/"))];
}

/**
 * The best value of the metric that networks are compared by, which chose the best epoch; null without a validation
 * set.
 */
export function bestOf({ records }: Run): { metric: Metric; value: number; epoch: number } | null {
  const [first] = records;
  const names = Object.keys(first?.metrics ?? {});
  const metric = names.flatMap((name) => metricOfKey(name, first.metrics) ?? [])[0];
  if (metric === undefined) return null;
  const key = epochKey(metric);
  const known = records.filter(({ metrics }) => typeof metrics[key] === "number");
  const best = known.reduce((a, b) => (isBetter(metric, b.metrics[key], a.metrics[key]) ? b : a), known[0]);
  return best === undefined ? null : { metric, value: best.metrics[key], epoch: best.epoch };
}
