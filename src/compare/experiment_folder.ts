import { rm } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointFiles, expectReplaceable, expectResumable, lockFolder } from "../checkpoint/index.js";
import { ioError, writeWhole } from "../files/index.js";
import type { Experiment } from "./experiment.js";

/** The contents of an experiment's folder. */
interface FolderContents {
  controls: Experiment["controls"];
  /** The runs' folders below it. */
  runs: readonly string[];
  /** Written as `config.json`. */
  config: Readonly<Record<string, unknown>>;
  /** The name of the file for the result, as JSON. */
  result: string;
}

/** What may change when an experiment is resumed: which trials there are. Each trial compares what is its own. */
const MAY_CHANGE = new Set(["seed", "seeds", "loss", "losses", "modules", "temperatures", "alphas"]);

/** Lists of it, which a resumed experiment may have longer. */
const GROWS = ["seeds", "losses", "temperatures", "alphas"];

/**
 * Runs `body` while the folder is locked, and writes its result there. Without `resume`, an earlier result and the trials'
 * checkpoints are removed first; with it, what may have changed is written once no trial has refused it.
 */
export async function withExperimentFolder<T>(contents: FolderContents, body: () => Promise<T>): Promise<T> {
  const { controls, runs, config, result: name } = contents;
  const { out, resume, overwrite } = controls;
  const lock = await lockFolder(out, { onNote: controls.onNote });
  try {
    const isResumed = resume && (await expectResumable(out, config, MAY_CHANGE));
    if (!resume) {
      if (!overwrite) await expectReplaceable(out, config, { grows: GROWS });
      for (const run of runs) new CheckpointFiles(join(out, run), 2).remove();
      await remove(join(out, name));
    }
    if (!isResumed) await writeJson(join(out, "config.json"), config);
    const result = await body();
    if (isResumed) await writeJson(join(out, "config.json"), config);
    await writeJson(join(out, name), result);
    return result;
  } finally {
    lock.release();
  }
}

async function writeJson(file: string, value: unknown): Promise<void> {
  await writeWhole(file, `${JSON.stringify(value, null, 2)}\n`);
}

async function remove(file: string): Promise<void> {
  await rm(file, { force: true }).catch((error: unknown) => {
    throw ioError("write", file, error);
  });
}
