import { existsSync, lstatSync, readdirSync, realpathSync, rmdirSync, rmSync, type Stats, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { DistilleryError } from "../errors.js";
import { errorCode, ioError, makeFolder } from "../files/index.js";
import { expectUnlocked, type FolderLock, LOCK, type LockOptions, OWNER, takeLock } from "./folder_lock.js";

/** The file with a run's options and everything else that determines its numbers. */
export const CONFIG = "config.json";
/** The file with a run's metrics, a line per epoch. */
export const METRICS = "metrics.jsonl";

/** The report of a run or an experiment. */
export const REPORT = "report.html";
/** The result files of experiments, and of commands that train a chain or generations. */
export const EXPERIMENT_RESULTS = ["compare.json", "sweep.json"];
export const CHAIN_RESULTS = ["chain.json", "generations.json"];

/** The table of a run's metrics, unless `--csv` names another. */
export const CSV = "metrics.csv";

/** A regular expression that matches exactly these names. */
const oneOf = (names: readonly string[]) => names.map((name) => name.replaceAll(".", "\\.")).join("|");
const FINISHED = [METRICS, REPORT, ...EXPERIMENT_RESULTS, ...CHAIN_RESULTS];
/** Files that only runs and experiments have. Weights beside them may belong to anyone. */
const OWN = new RegExp(
  `^(${oneOf([...FINISHED, CONFIG, LOCK, OWNER, "teacher.json"])}|checkpoint(\\.\\d+)?\\.safetensors)$`,
);
/** The folders of an experiment's runs. */
export const EXPERIMENT_FOLDER = /^(teacher|seed-\d+|(temperature|fraction)-[\d.e+-]+)$/;
/** Other files that a run's folder may contain: weights, logs, its own modules, hidden files. */
const BESIDE =
  /^\.|\.(pth|pt|safetensors|onnx|csv|log|txt|ya?ml|[cm]?js|ts|py)$|^tensorboard$|^teacher(_answers|-\d+)$/;
/**
 * Files that a process leaves if it is killed while writing: a link that was to be renamed, or a file's name and a
 * number.
 */
const LEFT = /^checkpoint\.1\.safetensors\.new$|^(.+)\.\d{8,10}$/;
/**
 * A copy that a person numbered by time: by `date +%s`, by day, or by day and hour. A left-over may stay; a copy has
 * to.
 */
const DATED = /\.((1[5-9]|20)\d{8}|20\d{6})$/;
/** Files of a run that got beyond its first step. Weights count, although they may belong to another run. */
const RESULT = new RegExp(`^(${oneOf(FINISHED)})$|\\.(safetensors|pth)$`);
const ANY_FOLDER = /^/;
/** Weights, which a run names after its networks. */
const WEIGHTS = /\.(pth|safetensors)$/;

/**
 * Creates a folder, locks it for one run at a time, and removes the partial files of a process that was killed. A
 * `shared` lock is for processes that write different files.
 *
 * @throws DistilleryError `IN_USE` if another run has it; `BAD_ARGUMENT` if it is in another run's folder, or contains
 * other things and no run; `IO_ERROR`.
 */
export async function lockFolder(path: string, options: LockOptions): Promise<FolderLock> {
  expectPlace(path);
  makeFolder(path);
  // Opening a pipe would wait for its other end.
  for (const name of [LOCK, OWNER, METRICS]) expectFile(join(path, name));
  const lock = await takeLock(path, options);
  try {
    if (!options.shared) removeLeftOvers(path);
  } catch (error) {
    lock.release();
    throw error;
  }
  return lock;
}

/**
 * Locks a folder as {@link lockFolder} does while `body` runs. If `body` throws and nothing was written, the folder is
 * restored to what it was.
 */
export async function withLockedFolder<T>(path: string, options: LockOptions, body: () => Promise<T>): Promise<T> {
  const isNew = !existsSync(join(path, LOCK));
  const above = missingAbove(path);
  const lock = await lockFolder(path, options);
  let isDone = false;
  try {
    const result = await body();
    isDone = true;
    return result;
  } finally {
    lock.release();
    if (!isDone && isNew) removeUnwritten(path, above);
  }
}

/** The folders of a path that do not exist, innermost first. */
function missingAbove(path: string): string[] {
  const missing: string[] = [];
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.push(at);
  return missing;
}

/** Removes the lock of a folder that contains nothing else, and the folders that were made for it. */
function removeUnwritten(path: string, folders: readonly string[]): void {
  if (namesIn(path).some((name) => name !== LOCK)) return;
  try {
    rmSync(join(path, LOCK), { force: true });
    for (const folder of folders) rmdirSync(folder);
  } catch {
    // Another run has started there.
  }
}

/** Refuses a folder that {@link lockFolder} would refuse, as far as this host can tell; changes nothing. */
export function expectFreeFolder(path: string): void {
  expectPlace(path);
  if (statusOf(join(path, LOCK))?.isFile()) expectUnlocked(path);
}

/** Whether only runs and experiments have a file with this name; weights may belong to anyone. */
export function isOwnFile(name: string): boolean {
  return OWN.test(name);
}

/** Whether a file belongs to a run in its folder, weights included, so that nothing else may be written over it. */
export function isFileOfRun(file: string, folder: string): boolean {
  const name = basename(file);
  return real(dirname(resolve(file))) === real(resolve(folder)) && (OWN.test(name) || WEIGHTS.test(name));
}

/** The path with links resolved, as far as it exists. */
function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** The age of a checkpoint by its file name: 0 for the newest; null for another file. */
export function ageOf(name: string): number | null {
  const [, age = ".0"] = /^checkpoint(\.\d+)?\.safetensors$/.exec(name) ?? [null, ""];
  return age === "" ? null : Number(age.slice(1));
}

/** The names in a folder; none if it does not exist. */
export function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errorCode(error))) return [];
    throw ioError("read", path, error, "folder");
  }
}

/**
 * Whether a run in a folder, or in one below it, got as far as a checkpoint, an epoch, weights or a result. If not, it
 * failed in its first step.
 */
export function hasResults(path: string, folders = EXPERIMENT_FOLDER): boolean {
  return namesIn(path).some(
    (name) => RESULT.test(name) || (folders.test(name) && hasResults(join(path, name), ANY_FOLDER)),
  );
}

function expectPlace(path: string): void {
  const names = namesIn(path);
  const other = names.find((name) => ![OWN, BESIDE, EXPERIMENT_FOLDER].some((known) => known.test(name)));
  if (other !== undefined && !names.includes(LOCK)) {
    const text = `${path}: holds other things, as ${JSON.stringify(other)}, and no run: choose a folder of its own`;
    throw new DistilleryError("BAD_ARGUMENT", text);
  }
  for (let at = resolve(path); dirname(at) !== at; ) {
    at = dirname(at);
    // Looked up by name: a parent folder may contain any number of files, or refuse to be listed. A folder with a lock
    // and no metrics belongs to an experiment, whose runs are below it.
    if (![LOCK, METRICS].every((name) => existsSync(join(at, name)))) continue;
    throw new DistilleryError("BAD_ARGUMENT", `${path}: lies in the folder of another run, ${at}: choose another`);
  }
}

function expectFile(path: string): void {
  const status = statusOf(path);
  if (status === undefined || status.isFile()) return;
  throw new DistilleryError("IO_ERROR", `${path}: expected a file of a run, found a pipe, folder or device: remove it`);
}

/** What a path leads to; undefined if it does not exist. */
function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw ioError("write", path, error);
  }
}

function isLeftOver(name: string): boolean {
  const [match, base] = LEFT.exec(name) ?? [];
  if (match === undefined || DATED.test(name)) return false;
  return base === undefined || OWN.test(base) || WEIGHTS.test(base) || base === CSV;
}

function removeLeftOvers(path: string): void {
  for (const name of namesIn(path).filter(isLeftOver)) {
    const file = join(path, name);
    try {
      if (lstatSync(file).isFile()) rmSync(file);
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw ioError("write", file, error);
    }
  }
}
