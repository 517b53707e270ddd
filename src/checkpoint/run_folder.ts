import { lstatSync, readdirSync, realpathSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { DistilleryError } from "../errors.js";
import { ioError, makeFolder } from "../files/index.js";
import { native } from "../native.js";

/** The file of a run's options and of all else that determines its numbers. */
export const CONFIG = "config.json";
/** The file of a run's metrics, a line an epoch. */
export const METRICS = "metrics.jsonl";
const LOCK = "run.lock";

/** The files of a run and of an experiment that are theirs alone; weights beside them may be anyone's. */
const OWN =
  /^(config\.json|metrics\.jsonl|run\.lock|report\.html|compare\.json|sweep\.json|checkpoint(\.\d+)?\.safetensors)$/;
/** What else may lie where a run is to go: weights, logs, its own modules, what a person does not see. */
const BESIDE =
  /^\.|\.(pth|pt|safetensors|onnx|csv|log|txt|ya?ml|[cm]?js|ts|py)$|^tensorboard$|^(teacher(_answers|-\d+)?|seed-\d+|temperature-[\d.e+-]+)$/;
/** What a process that was killed while it wrote leaves: the file's name and a number, or a link that was to be renamed. */
const LEFT = /^(.*)\.(\d+|new)$/;
/** What a run has that got beyond its first step. Weights are taken for its own, although they may be another's. */
const RESULT = /^(metrics\.jsonl|report\.html|compare\.json|sweep\.json)$|\.(safetensors|pth)$/;
/** The folders with runs below an experiment's. */
const RUNS_BELOW = /^(teacher|seed-\d+|temperature-.*)$/;
const ANY_FOLDER = /^/;
const WRITTEN = /\.(json|jsonl|html|safetensors|pth)$/;

/**
 * Makes a folder and locks it for one run at a time, and removes what a process that was killed left half written.
 *
 * @throws DistilleryError `IN_USE` if another run has it; `BAD_ARGUMENT` if it lies in another run's folder, or holds other things and
 * no run; `IO_ERROR`.
 */
export function lockFolder(path: string): { release(): void } {
  expectPlace(path);
  makeFolder(path);
  // Opening a pipe would wait for its other end.
  for (const name of [LOCK, METRICS]) expectFile(join(path, name));
  const lock = lockFile(path);
  try {
    removeLeftOvers(path);
  } catch (error) {
    lock.release();
    throw error;
  }
  return lock;
}

/** Refuses a folder that {@link lockFolder} would refuse, and changes nothing. */
export function expectFreeFolder(path: string): void {
  expectPlace(path);
  if (statSync(join(path, LOCK), { throwIfNoEntry: false })?.isFile()) lockFile(path).release();
}

function lockFile(path: string): { release(): void } {
  const lock = native.lockFile(join(path, LOCK));
  if (lock !== null) return lock;
  const text = `${path}: another run is writing there: wait for its end or choose another folder`;
  throw new DistilleryError("IN_USE", text);
}

/** Whether a file is one of a run in a folder, its weights among them, onto which nothing else may be written. */
export function isFileOfRun(file: string, folder: string): boolean {
  const name = basename(file);
  return (
    real(dirname(resolve(file))) === real(resolve(folder)) && (OWN.test(name) || /\.(pth|safetensors)$/.test(name))
  );
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
 * Whether a run in a folder, or in one below it, got as far as a checkpoint, an epoch, weights or a result. Without these it
 * failed in its first step.
 */
export function hasResults(path: string, folders = RUNS_BELOW): boolean {
  return namesIn(path).some(
    (name) => RESULT.test(name) || (folders.test(name) && hasResults(join(path, name), ANY_FOLDER)),
  );
}

function expectPlace(path: string): void {
  const names = namesIn(path);
  const other = names.find((name) => !OWN.test(name) && !BESIDE.test(name) && !isLeftOver(name));
  if (other !== undefined && !names.includes(LOCK)) {
    const text = `${path}: holds other things, as ${JSON.stringify(other)}, and no run: choose a folder of its own`;
    throw new DistilleryError("BAD_ARGUMENT", text);
  }
  for (let at = resolve(path); dirname(at) !== at; ) {
    at = dirname(at);
    const above = namesIn(at);
    // A folder with a lock and no metrics is an experiment's, whose runs lie in it.
    if (!above.includes(LOCK) || !above.includes(METRICS)) continue;
    throw new DistilleryError("BAD_ARGUMENT", `${path}: lies in the folder of another run, ${at}: choose another`);
  }
}

function expectFile(path: string): void {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined || status.isFile()) return;
  throw new DistilleryError("IO_ERROR", `${path}: expected a file of a run, found a pipe, folder or device: remove it`);
}

function isLeftOver(name: string): boolean {
  const [, base = ""] = LEFT.exec(name) ?? [];
  return WRITTEN.test(base);
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
