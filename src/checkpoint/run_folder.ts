import { existsSync, lstatSync, readdirSync, realpathSync, rmdirSync, rmSync, type Stats, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { DistilleryError } from "../errors.js";
import { ioError, makeFolder } from "../files/index.js";
import { expectUnlocked, type FolderLock, LOCK, type LockOptions, OWNER, takeLock } from "./folder_lock.js";

/** The file of a run's options and of all else that determines its numbers. */
export const CONFIG = "config.json";
/** The file of a run's metrics, a line an epoch. */
export const METRICS = "metrics.jsonl";

/** The file of a run's or an experiment's report. */
export const REPORT = "report.html";
/** The results of experiments, and of the commands that train a chain or generations. */
export const EXPERIMENT_RESULTS = ["compare.json", "sweep.json"];
export const CHAIN_RESULTS = ["chain.json", "generations.json"];

/** A regular expression of one of the names, as they are. */
const oneOf = (names: readonly string[]) => names.map((name) => name.replaceAll(".", "\\.")).join("|");
const FINISHED = [METRICS, REPORT, ...EXPERIMENT_RESULTS, ...CHAIN_RESULTS];
/** The files of a run and of an experiment that are theirs alone; weights beside them may be anyone's. */
const OWN = new RegExp(
  `^(${oneOf([...FINISHED, CONFIG, LOCK, OWNER, "teacher.json"])}|checkpoint(\\.\\d+)?\\.safetensors)$`,
);
/** The folders of runs below an experiment's. */
export const EXPERIMENT_FOLDER = /^(teacher|seed-\d+|(temperature|fraction)-[\d.e+-]+)$/;
/** What else may lie where a run is to go: weights, logs, its own modules, what a person does not see. */
const BESIDE =
  /^\.|\.(pth|pt|safetensors|onnx|csv|log|txt|ya?ml|[cm]?js|ts|py)$|^tensorboard$|^teacher(_answers|-\d+)$/;
/**
 * What a process that was killed while it wrote leaves: a link that was to be renamed, or a file's name and a number.
 */
const LEFT = /^checkpoint\.1\.safetensors\.new$|^(.+)\.\d{8,10}$/;
/** A copy that a person numbered by its time, `date +%s`, day, or day and hour: a left-over may stay, a copy has to. */
const DATED = /\.((1[5-9]|20)\d{8}|20\d{6})$/;
/** What a run has that got beyond its first step. Weights are taken for its own, although they may be another's. */
const RESULT = new RegExp(`^(${oneOf(FINISHED)})$|\\.(safetensors|pth)$`);
const ANY_FOLDER = /^/;
/** Weights, which a run names after its networks. */
const WEIGHTS = /\.(pth|safetensors)$/;

/**
 * Makes a folder and locks it for one run at a time, and removes what a process that was killed left half written. A
 * lock that is `shared` is for processes which write different files.
 *
 * @throws DistilleryError `IN_USE` if another run has it; `BAD_ARGUMENT` if it lies in another run's folder, or holds
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
 * Locks a folder as {@link lockFolder} does while `body` runs in it. If that throws and nothing was written there, the
 * folder is left as it was found.
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

/** The folders of a path that are not there, the innermost first. */
function missingAbove(path: string): string[] {
  const missing: string[] = [];
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.push(at);
  return missing;
}

/** Removes the lock of a folder that holds nothing else, and folders that were made for it. */
function removeUnwritten(path: string, folders: readonly string[]): void {
  if (namesIn(path).some((name) => name !== LOCK)) return;
  try {
    rmSync(join(path, LOCK), { force: true });
    for (const folder of folders) rmdirSync(folder);
  } catch {
    // Another run has come there.
  }
}

/** Refuses a folder that {@link lockFolder} would refuse, as far as this host knows, and changes nothing. */
export function expectFreeFolder(path: string): void {
  expectPlace(path);
  if (statusOf(join(path, LOCK))?.isFile()) expectUnlocked(path);
}

/** Whether a file's name is that of one that runs and experiments alone have; weights may be anyone's. */
export function isOwnFile(name: string): boolean {
  return OWN.test(name);
}

/** Whether a file is one of a run in a folder, its weights among them, onto which nothing else may be written. */
export function isFileOfRun(file: string, folder: string): boolean {
  const name = basename(file);
  return real(dirname(resolve(file))) === real(resolve(folder)) && (OWN.test(name) || WEIGHTS.test(name));
}

/** A path without links, as far as it is there. */
function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** The number of a checkpoint by its file: 0 for the newest; null for another file. */
export function ageOf(name: string): number | null {
  const [, age = ".0"] = /^checkpoint(\.\d+)?\.safetensors$/.exec(name) ?? [null, ""];
  return age === "" ? null : Number(age.slice(1));
}

/** The names in a folder; none if there is no such folder. */
export function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw ioError("read", path, error, "folder");
  }
}

/**
 * Whether a run in a folder, or in one below it, got as far as a checkpoint, an epoch, weights or a result. Without
 * these it failed in its first step.
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
    // Asked by name: a folder above may hold any number of files, or not let itself be listed. One with a lock and no
    // metrics is an experiment's, whose runs lie in it.
    if (![LOCK, METRICS].every((name) => existsSync(join(at, name)))) continue;
    throw new DistilleryError("BAD_ARGUMENT", `${path}: lies in the folder of another run, ${at}: choose another`);
  }
}

function expectFile(path: string): void {
  const status = statusOf(path);
  if (status === undefined || status.isFile()) return;
  throw new DistilleryError("IO_ERROR", `${path}: expected a file of a run, found a pipe, folder or device: remove it`);
}

/** What a path leads to; undefined: nothing. */
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
  return base === undefined || OWN.test(base) || WEIGHTS.test(base);
}

function removeLeftOvers(path: string): void {
  for (const name of namesIn(path).filter(isLeftOver)) {
    const file = join(path, name);
    try {
      if (lstatSync(file).isFile()) rmSync(file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw ioError("write", file, error);
    }
  }
}
