import { type Dirent, lstatSync, readdirSync, readFileSync, type Stats } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { isRecent, type LifeSign, lifeSign } from "../checkpoint/index.js";
import { CONFIG, METRICS, REPORT } from "../checkpoint/run_folder.js";
import { BASELINE } from "../compare/methods.js";
import type { EpochRecord } from "../log/index.js";
import { MAX_BYTES, type MetricsRows, readRows } from "./metrics_rows.js";
import type { Changes, WatchedRun } from "./watched_run.js";

/** How deep runs are looked for: deeper than any experiment's. */
const MAX_LEVELS = 6;
const MAX_FOLDERS = 10_000;
const EXPERIMENTS: ReadonlySet<string> = new Set(["compare", "sweep"]);
/** The files that a finished run (its weights) or experiment (its result) has. */
const RESULT =
  /^(?!checkpoint|teacher_(validation_)?logits)(.*(?<!_best)\.(pth|safetensors)|compare\.json|sweep\.json)$/;

/** A run as it was last seen. */
interface Seen {
  run: WatchedRun;
  rows: MetricsRows;
  /** The sign of life of the process that runs it. */
  sign: LifeSign | null;
}

/** Finds and follows the runs below a folder by their files, whichever process writes these. */
export class WatchedFolder {
  #seen = new Map<string, Seen>();

  constructor(private readonly root: string) {}

  /** What is new since the last call. */
  scan(): Changes {
    const before = this.#seen;
    this.#seen = new Map();
    for (const { path, names } of runFolders(this.root)) {
      const now = look(join(this.root, path), path, names, before.get(path));
      if (now !== null) this.#seen.set(path, now);
    }
    this.#relate();
    const changed = [...this.#seen].flatMap(([path, now]) => {
      const old = before.get(path);
      const { records } = now.rows;
      const from = old === undefined ? 0 : commonLength(old.rows.records, records);
      const isSame = old !== undefined && from === records.length && from === old.rows.records.length;
      if (isSame && JSON.stringify(old.run) === JSON.stringify(now.run)) return [];
      return [{ ...now.run, from, records: records.slice(from) }];
    });
    return { changed, removed: [...before.keys()].filter((path) => !this.#seen.has(path)) };
  }

  /** Marks the baselines of comparisons, and marks an experiment as running if one of its runs is. */
  #relate(): void {
    const all = [...this.#seen.values()];
    // Processes that share an experiment lock the folders of their runs, not its own.
    const running = all.flatMap(({ run }) => (run.state === "running" ? run.path : []));
    const comparisons = all.flatMap(({ run }) => (run.command === "compare" ? run.path : []));
    for (const seen of all) {
      const { path, command } = seen.run;
      const isBaseline = path.split("/").at(-1) === BASELINE && comparisons.some((above) => isBelow(path, above));
      if (isBaseline) seen.run = { ...seen.run, command: BASELINE };
      const isRunning = EXPERIMENTS.has(command) && running.some((below) => isBelow(below, path));
      if (isRunning) seen.run = { ...seen.run, state: "running" };
    }
  }

  /** All there is, as the last call of {@link scan} saw it. */
  all(): Changes {
    const changed = [...this.#seen.values()].map(({ run, rows }) => ({ ...run, from: 0, records: rows.records }));
    return { changed, removed: [] };
  }

  /** The report of a run that was seen; null if it has none. */
  reportOf(path: string): string | null {
    return this.#seen.get(path)?.run.hasReport ? join(this.root, path, REPORT) : null;
  }

  /** Whether a run is there. */
  has(path: string): boolean {
    return this.#seen.has(path);
  }
}

/** Folders with a run's configuration, with the names of their files; links are not followed. */
function runFolders(root: string): { path: string; names: readonly string[] }[] {
  const found: { path: string; names: readonly string[] }[] = [];
  const left = [{ path: "", level: 0 }];
  for (let i = 0; i < left.length && i < MAX_FOLDERS; i++) {
    const { path, level } = left[i];
    const entries = entriesOf(join(root, path));
    const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
    if (names.includes(CONFIG)) found.push({ path, names });
    if (level === MAX_LEVELS) continue;
    for (const { name } of entries.filter((entry) => entry.isDirectory())) {
      if (!name.startsWith(".") && name !== "node_modules") {
        left.push({ path: path === "" ? name : `${path}/${name}`, level: level + 1 });
      }
    }
  }
  return found;
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    // It does not exist yet, is gone, or we may not read it: treated as empty.
    return [];
  }
}

/** A run by its files; null for a folder whose `config.json` is none of ours, or that is going away. */
function look(folder: string, path: string, names: readonly string[], old: Seen | undefined): Seen | null {
  const config = configOf(join(folder, CONFIG));
  if (config === null) return null;
  const { command, data, epochs } = config;
  const metrics = join(folder, METRICS);
  const status = statusOf(metrics);
  const rows = readRows(metrics, status, old?.rows);
  const isExperiment = EXPERIMENTS.has(command);
  const all = typeof epochs === "number" && !isExperiment ? epochs : null;
  const isDone = names.some((name) => RESULT.test(name)) || (all !== null && (rows.records.at(-1)?.epoch ?? 0) >= all);
  const sign = signIn(folder, old?.sign ?? null);
  const run: WatchedRun = {
    path,
    command,
    data: typeof data === "string" ? data : null,
    epochs: all,
    state: isRecent(sign) ? "running" : isDone ? "done" : "stopped",
    hasReport: names.includes(REPORT),
    changed: Math.round((status ?? statusOf(folder))?.mtimeMs ?? 0),
  };
  return { run, rows, sign };
}

/** The sign of life in a folder; an owner's file that can't be read is ignored. */
function signIn(folder: string, before: LifeSign | null): LifeSign | null {
  try {
    return lifeSign(folder, before);
  } catch {
    return null;
  }
}

function configOf(file: string): { command: string; data?: unknown; epochs?: unknown } | null {
  try {
    const config = JSON.parse(textOf(file)) as { command?: unknown } | null;
    return typeof config?.command === "string" ? { ...config, command: config.command } : null;
  } catch {
    return null;
  }
}

/** A link's is its own; undefined for what is not there, or is not ours to read. */
function statusOf(file: string): Stats | undefined {
  try {
    return lstatSync(file);
  } catch {
    return undefined;
  }
}

/** A file's text; of one that is not there, is a link, or is too large for one of ours, none. */
function textOf(file: string): string {
  const status = statusOf(file);
  if (!status?.isFile() || status.size > MAX_BYTES) return "";
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function isBelow(path: string, above: string): boolean {
  return path !== above && (above === "" || path.startsWith(`${above}/`));
}

/** How many records at the start are the same; those of a file that grew are so themselves. */
function commonLength(a: readonly EpochRecord[], b: readonly EpochRecord[]): number {
  const other = a.findIndex((record, i) => record !== b[i] && !isDeepStrictEqual(record, b[i]));
  return other < 0 ? a.length : other;
}
