import { basename, join } from "node:path";
import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { kindOf, readWhole, writeJson } from "../files/index.js";
import { canGoOn, changesOf, type Freedom, obstaclesOf, type RunConfig } from "./config_changes.js";
import { ageOf, CONFIG, hasResults, namesIn } from "./run_folder.js";

/** Writes a run's configuration. The number of test evaluations belongs to the folder and is kept. */
export async function writeConfig(path: string, config: RunConfig): Promise<void> {
  const testEvaluations = await testEvaluationsIn(path);
  await writeJson(join(path, CONFIG), { ...config, ...(testEvaluations && { testEvaluations }) });
}

/** How often each test set, by its hash, was evaluated in a folder. */
interface TestEvaluations {
  readonly hash: string;
  readonly count: number;
}

/**
 * Counts an evaluation on a test set under `testEvaluations` in a folder's `config.json`, over all runs that the folder
 * had; returns the new count.
 */
export async function countTestEvaluation(path: string, hash: string): Promise<number> {
  const file = join(path, CONFIG);
  const before = await testEvaluationsIn(path);
  const count = before?.hash === hash ? before.count + 1 : 1;
  const config = await readFolderConfig(file);
  await writeJson(file, { ...config, testEvaluations: { hash, count } });
  return count;
}

async function testEvaluationsIn(path: string): Promise<TestEvaluations | null> {
  const file = join(path, CONFIG);
  if ((await kindOf(file)) === null) return null;
  // A damaged configuration is replaced.
  const { testEvaluations } = await readFolderConfig(file).catch((): RunConfig => ({}));
  const { hash, count } = Object(testEvaluations) as Partial<TestEvaluations>;
  if (typeof hash !== "string" || typeof count !== "number" || !Number.isSafeInteger(count)) return null;
  return { hash, count };
}

/** The content of a `config.json`; `BAD_CONFIG` if it is damaged. */
export async function readFolderConfig(file: string): Promise<Record<string, unknown>> {
  const text = Buffer.from(await readWhole(file)).toString();
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw new DistilleryError("BAD_CONFIG", `${file}: is not JSON`, { cause: error });
  }
  if (typeof config === "object" && config !== null) return config as Record<string, unknown>;
  throw new DistilleryError("BAD_CONFIG", `${file}: expected a JSON object, got ${show(config)}`);
}

/** Refuses to continue in a folder whose configuration differs in more than it may; returns whether it has one. */
export async function expectResumable(
  path: string,
  config: RunConfig,
  freedom: Freedom,
  advice?: string,
): Promise<boolean> {
  const file = join(path, CONFIG);
  if ((await kindOf(file)) === null) return false;
  const before = await readFolderConfig(file);
  if (!canGoOn(before, config, freedom)) refuseOther(path, before, config, freedom, advice);
  return true;
}

/**
 * Refuses more epochs for a run of a chain if the next run already learned from it. Folders are in the chain's order.
 */
export async function expectLastLonger(folders: readonly string[], epochs: number): Promise<void> {
  for (const [i, folder] of folders.slice(0, -1).entries()) {
    const [file, next] = [join(folder, CONFIG), folders[i + 1]];
    if (!hasCheckpoint(next) || (await kindOf(file)) === null) continue;
    const before = await readFolderConfig(file);
    if (typeof before.epochs !== "number" || before.epochs >= epochs) continue;
    const text = `epochs was ${before.epochs}, is ${epochs}, and ${basename(next)} has learned from it`;
    throw new DistilleryError("BAD_CONFIG", `${folder}: ${text}: ${OVERWRITE_ADVICE}`);
  }
}

/** Whether a folder has a checkpoint to resume from. */
export function hasCheckpoint(path: string): boolean {
  return namesIn(path).some((name) => ageOf(name) !== null);
}

/** Advice for a run with other options that may be replaced. */
export const OVERWRITE_ADVICE = "give the options of before, choose another folder, or --overwrite instead of --resume";

/** Refuses to resume, and says what differs. */
export function refuseOther(
  path: string,
  before: RunConfig,
  now: RunConfig,
  freedom?: Freedom,
  advice = OVERWRITE_ADVICE,
): never {
  const text = `${path}: can't resume a run with another configuration: ${obstaclesOf(before, now, freedom).join("; ")}`;
  throw new DistilleryError("BAD_CONFIG", `${text}: ${advice}`);
}

/**
 * Refuses to replace a run with another configuration, unless it left nothing but that configuration. `unknown`: what
 * is not compared; `resumed`: what may differ if it is resumed.
 */
export async function expectReplaceable(
  path: string,
  config: RunConfig,
  { unknown = [], resumed = {} }: { unknown?: readonly string[]; resumed?: Freedom } = {},
): Promise<void> {
  const file = join(path, CONFIG);
  if ((await kindOf(file)) === null) return;
  let changes: string[];
  let goesOn = false;
  try {
    const before = await readFolderConfig(file);
    changes = changesOf(before, config, new Set(unknown));
    goesOn = canGoOn(before, config, { ...resumed, free: new Set([...unknown, ...(resumed.free ?? [])]) });
  } catch (error) {
    if (!(error instanceof DistilleryError) || error.code !== "BAD_CONFIG") throw error;
    changes = [error.message];
  }
  if (changes.length === 0 || !hasResults(path)) return;
  const more = changes.length > MAX_SHOWN ? "; ..." : "";
  const text = `a run with other options is there: ${changes.slice(0, MAX_SHOWN).join("; ")}${more}`;
  const resume = goesOn ? "--resume goes on with it (resume: true in a program), " : "";
  const advice = `${resume}--overwrite replaces it (overwrite: true in a program), or choose another folder`;
  throw new DistilleryError("BAD_CONFIG", `${path}: ${text}: ${advice}`);
}

const MAX_SHOWN = 3;
