import { appendFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { ioError, kindOf, readWhole, writeWhole } from "../files/index.js";
import type { StateDict } from "../nn/state_dict.js";
import { CheckpointFiles, type FoundCheckpoint } from "./checkpoint_files.js";
import { canGoOn, changesOf, type Freedom, obstaclesOf, type RunConfig } from "./config_changes.js";
import type { FolderLock } from "./folder_lock.js";
import { ageOf, CONFIG, expectFreeFolder, hasResults, lockFolder, METRICS, namesIn } from "./run_folder.js";
import { save } from "./save.js";

/** How a folder is opened for a run. */
interface RunDirectoryOptions {
  /** Whether to continue the run in the folder. */
  resume: boolean;
  /** Whether a run of another configuration may be replaced. */
  overwrite: boolean;
  /** How many checkpoints are kept. */
  keep: number;
  /** Called with notes for the user. */
  onNote: (text: string) => void;
}

/** What a run to resume is said to be that has not begun. */
export const NOTHING_TO_RESUME = "nothing to resume, starting from the beginning";

/**
 * The folder of one run: `config.json`, `metrics.jsonl` with a line an epoch, the checkpoints to resume from, and the
 * weights that it ended with. Each file is written whole or not at all, but `metrics.jsonl`, which grows. One run at a
 * time: the folder is locked, as {@link takeLock} says.
 */
export class RunDirectory {
  readonly #lock: FolderLock;
  /** The configuration of a run that becomes longer, and what says it. */
  #extended: { readonly config: RunConfig; note(): void } | null = null;

  private constructor(
    readonly path: string,
    readonly checkpoints: CheckpointFiles,
    lock: FolderLock,
  ) {
    this.#lock = lock;
  }

  /**
   * Opens a folder for a run, with the checkpoint to continue from, or null if the run starts from its beginning: then
   * the checkpoints and metrics of an earlier run are removed.
   *
   * @throws DistilleryError as {@link lockFolder}; `BAD_CONFIG` that names what differs if the folder has a run with another
   * configuration that is to be resumed or must not be replaced; `BAD_CHECKPOINT` if all its checkpoints are damaged.
   */
  static async open(
    path: string,
    config: RunConfig,
    { resume, overwrite, keep, onNote }: RunDirectoryOptions,
  ): Promise<{ directory: RunDirectory; checkpoint: FoundCheckpoint | null }> {
    const directory = new RunDirectory(path, new CheckpointFiles(path, keep), await lockFolder(path, { onNote }));
    try {
      if (!resume && !overwrite) await expectReplaceable(path, config);
      const checkpoint = resume ? await directory.#resume(config, onNote) : null;
      if (checkpoint === null) await directory.#begin(config);
      return { directory, checkpoint };
    } catch (error) {
      await directory.close();
      throw error;
    }
  }

  /**
   * Refuses a folder that {@link RunDirectory.open} would refuse, and changes nothing: before work that costs something. What
   * the configuration does not say yet, as the names `open`, may be anything.
   */
  static async expectOpenable(
    path: string,
    config: RunConfig,
    { resume, overwrite }: Pick<RunDirectoryOptions, "resume" | "overwrite">,
    open: readonly string[],
  ): Promise<void> {
    expectFreeFolder(path);
    if (!resume && !overwrite) await expectReplaceable(path, config, { unknown: open });
    if (resume && hasCheckpoint(path)) await expectResumable(path, config, { free: new Set(open) });
  }

  /** Refuses to write on if another host has taken the folder over; `IN_USE`. */
  expectHeld(): void {
    this.#lock.expectHeld();
  }

  /** Replaces `metrics.jsonl`, once the run is known to go on; `config.json` says it if the run became longer. */
  async writeMetrics(lines: readonly unknown[]): Promise<void> {
    if (this.#extended !== null) {
      await writeConfig(this.path, this.#extended.config);
      this.#extended.note();
    }
    await writeWhole(join(this.path, METRICS), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }

  /** Adds a line to `metrics.jsonl`. */
  appendMetrics(line: unknown): void {
    this.expectHeld();
    const file = join(this.path, METRICS);
    try {
      appendFileSync(file, `${JSON.stringify(line)}\n`);
    } catch (error) {
      throw ioError("write", file, error);
    }
  }

  /** Writes weights as `NAME.pth` and `NAME.safetensors`, which keeps the metadata too; gives the paths. */
  async writeWeights(state: StateDict, name: string, metadata: Readonly<Record<string, string>>): Promise<string[]> {
    this.expectHeld();
    const [pth, safetensors] = [".pth", ".safetensors"].map((extension) => join(this.path, name + extension)) as [
      string,
      string,
    ];
    await save(state, pth);
    await save(state, safetensors, { metadata });
    return [pth, safetensors];
  }

  /** Waits for pending writes and releases the lock. */
  async close(): Promise<void> {
    // Its failure has ended the run already, or another one has.
    await this.checkpoints.written().catch(() => {});
    this.#lock.release();
  }

  async #resume(config: RunConfig, onNote: (text: string) => void): Promise<FoundCheckpoint | null> {
    const checkpoint = await this.checkpoints.newest(({ message }) => onNote(`${message}: taking the one before`));
    if (checkpoint === null) {
      onNote(`${this.path}: ${NOTHING_TO_RESUME}`);
      return null;
    }
    const before = await readConfig(join(this.path, CONFIG));
    const changes = changesOf(before, config);
    if (changes.length === 0) return checkpoint;
    if (canGoOn(before, config)) {
      const { epochs } = config;
      const extended = [...((before.extended as unknown[] | undefined) ?? []), { epochs: before.epochs }];
      const text = `goes on to epoch ${epochs} instead of ${before.epochs}, by the schedule of ${epochs} from here on`;
      this.#extended = { config: { ...config, extended }, note: () => onNote(`${this.path}: ${text}`) };
      return checkpoint;
    }
    return refuseOther(this.path, before, config);
  }

  async #begin(config: RunConfig): Promise<void> {
    this.checkpoints.remove();
    try {
      rmSync(join(this.path, METRICS), { force: true });
    } catch (error) {
      throw ioError("write", this.path, error);
    }
    await writeConfig(this.path, config);
  }
}

async function writeConfig(path: string, config: RunConfig): Promise<void> {
  const testLooks = await testLooksIn(path);
  await writeWhole(join(path, CONFIG), `${JSON.stringify({ ...config, ...(testLooks && { testLooks }) }, null, 2)}\n`);
}

/** How often a test set, by its hash, was looked at from a folder. */
interface TestLooks {
  readonly hash: string;
  readonly count: number;
}

/**
 * Counts a look at a test set under `testLooks` of a folder's `config.json`, through all runs that the folder had; gives how many
 * there were with this one.
 */
export async function countTestLook(path: string, hash: string): Promise<number> {
  const file = join(path, CONFIG);
  const before = await testLooksIn(path);
  const count = before?.hash === hash ? before.count + 1 : 1;
  const config = await readConfig(file);
  await writeWhole(file, `${JSON.stringify({ ...config, testLooks: { hash, count } }, null, 2)}\n`);
  return count;
}

async function testLooksIn(path: string): Promise<TestLooks | null> {
  const file = join(path, CONFIG);
  if ((await kindOf(file)) === null) return null;
  // A configuration that is damaged is replaced.
  const { testLooks } = await readConfig(file).catch((): RunConfig => ({}));
  const { hash, count } = Object(testLooks) as Partial<TestLooks>;
  return typeof hash === "string" && Number.isSafeInteger(count) ? { hash, count: count as number } : null;
}

async function readConfig(file: string): Promise<Record<string, unknown>> {
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

/** Refuses to go on in a folder with a configuration that differs in more than it may; gives whether there is one. */
export async function expectResumable(
  path: string,
  config: RunConfig,
  freedom: Freedom,
  advice?: string,
): Promise<boolean> {
  const file = join(path, CONFIG);
  if ((await kindOf(file)) === null) return false;
  const before = await readConfig(file);
  if (!canGoOn(before, config, freedom)) refuseOther(path, before, config, freedom, advice);
  return true;
}

/** Refuses more epochs for the runs of a chain, in folders in their order, if the next one has learned from what would change. */
export async function expectLastLonger(folders: readonly string[], epochs: number): Promise<void> {
  for (const [i, folder] of folders.slice(0, -1).entries()) {
    const [file, next] = [join(folder, CONFIG), folders[i + 1]];
    if (!hasCheckpoint(next) || (await kindOf(file)) === null) continue;
    const before = await readConfig(file);
    if (typeof before.epochs !== "number" || before.epochs >= epochs) continue;
    const text = `epochs was ${before.epochs}, is ${epochs}, and ${basename(next)} has learned from it`;
    throw new DistilleryError("BAD_CONFIG", `${folder}: ${text}: ${OVERWRITE_ADVICE}`);
  }
}

function hasCheckpoint(path: string): boolean {
  return namesIn(path).some((name) => ageOf(name) !== null);
}

/** What to do about other options, where a run can be replaced. */
export const OVERWRITE_ADVICE = "give the options of before, choose another folder, or --overwrite instead of --resume";

function refuseOther(
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
 * Refuses to replace a run of another configuration, unless it left nothing but that configuration. `unknown`: what is not
 * compared; `resumed`: what may differ where it is resumed.
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
    const before = await readConfig(file);
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
