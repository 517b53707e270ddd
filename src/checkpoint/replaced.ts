import { existsSync, lstatSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { ioError } from "../files/index.js";
import { changesOf, type RunConfig } from "./config_changes.js";
import { expectUnlocked, LOCK } from "./folder_lock.js";
import { CONFIG, EXPERIMENT_FOLDER, EXPERIMENT_RESULTS, isOwnFile, namesIn, REPORT } from "./run_folder.js";

/** The reference script's name for the student's weights, without extension. */
export const STUDENT_FILE = "distilled_student_model_lowest";
/** The weights of the runs in a folder that an experiment or a chain made. */
const OF_RUNS = weightsOf(["teacher", "student", "student-1", STUDENT_FILE]);
/** The folders of a chain's runs. */
const LINKS = /^(link|generation)-\d+$/;

type IsOurs = (config: RunConfig) => boolean;
/** An experiment's own runs have a seed and no user options. A run that a person put there belongs to the person. */
const ofExperiment: IsOurs = ({ seed, userOptions }) => typeof seed === "number" && userOptions === undefined;
const ofChain: IsOurs = () => true;

/** Whether a file below the folder of an experiment or a chain belongs to a run that a new one removes. */
export function isInReplacedRun(out: string, file: string): boolean {
  const [folder = "", ...rest] = relative(resolve(out), resolve(file)).split(sep);
  const isOurs = EXPERIMENT_FOLDER.test(folder) ? ofExperiment : LINKS.test(folder) ? ofChain : null;
  const config = isOurs === null || rest.length === 0 ? null : configIn(dirname(file));
  return config !== null && isOurs?.(config) === true;
}

/** The names of the weight files of a run. Names that end in a number may have had others. */
export function weightsOf(names: readonly string[]): RegExp {
  const patterns = names.map((name) => name.replace(/\d+$/, "\\d+"));
  return new RegExp(`^(${patterns.join("|")})(_best)?\\.(pth|safetensors)$`);
}

/** Removes the weights and the report of another run, which would be mistaken for those of the run that replaces it. */
export function removeReplacedRun(path: string, config: RunConfig, weights: RegExp): void {
  if (!holdsOther(path, config)) return;
  for (const name of namesIn(path)) if (name === REPORT || weights.test(name)) removeFile(join(path, name));
}

/** Removes the runs and results of another experiment. */
export function removeReplacedExperiment(path: string, config: RunConfig): void {
  if (!holdsOther(path, config)) return;
  for (const name of [REPORT, ...EXPERIMENT_RESULTS]) removeFile(join(path, name));
  for (const name of namesIn(path).filter((name) => EXPERIMENT_FOLDER.test(name)))
    removeRuns(join(path, name), ofExperiment);
}

/** Removes the runs of a chain, except those that a new one has too. */
export function removeReplacedLinks(path: string, kept: readonly string[]): void {
  for (const name of namesIn(path)) if (LINKS.test(name) && !kept.includes(name)) removeRuns(join(path, name), ofChain);
}

/** Whether the folder has a run with other options. */
function holdsOther(path: string, config: RunConfig): boolean {
  const before = configIn(path);
  return before !== null && changesOf(before, config).length > 0;
}

/** A run's configuration; null if the folder has none of Distillery's. */
function configIn(path: string): RunConfig | null {
  try {
    const config = JSON.parse(readFileSync(join(path, CONFIG), "utf8")) as RunConfig | null;
    return typeof config?.command === "string" ? config : null;
  } catch {
    return null;
  }
}

/**
 * Removes the files that runs wrote in a folder and below it, and folders that become empty; everything else stays.
 * Links are not followed.
 */
function removeRuns(path: string, isOurs: IsOurs): void {
  if (!lstatSync(path).isDirectory()) return;
  const config = configIn(path);
  const isRun = config !== null && isOurs(config);
  if (isRun && existsSync(join(path, LOCK))) expectUnlocked(path);
  for (const name of namesIn(path)) {
    const file = join(path, name);
    if (lstatSync(file).isDirectory()) removeRuns(file, isOurs);
    else if (isRun && (isOwnFile(name) || OF_RUNS.test(name))) removeFile(file);
  }
  if (namesIn(path).length === 0) rmdirSync(path);
}

function removeFile(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch (error) {
    throw ioError("write", file, error);
  }
}
