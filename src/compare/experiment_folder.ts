import { rm } from "node:fs/promises";
import { join } from "node:path";
import {
  CheckpointFiles,
  expectFreeFolder,
  expectReplaceable,
  expectResumable,
  lockFolder,
} from "../checkpoint/index.js";
import { ioError, writeWhole } from "../files/index.js";
import type { Experiment } from "./experiment.js";

/** The contents of an experiment's folder. */
interface FolderContents {
  experiment: Pick<Experiment, "controls" | "outside">;
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
 * Runs `body` while the folder is locked, and writes its result there. A teacher from elsewhere is asked before. Without `resume`, an earlier result and the trials'
 * checkpoints are removed first; with it, what may have changed is written once no trial has refused it.
 */
export async function withExperimentFolder<T>(contents: FolderContents, body: () => Promise<T>): Promise<T> {
  const { experiment, runs, config, result: name } = contents;
  const { controls, outside } = experiment;
  const { out, resume, overwrite } = controls;
  const expectOurs = async () => {
    if (!resume && !overwrite) await expectReplaceable(out, config, { grows: GROWS });
    return resume && (await expectResumable(out, config, MAY_CHANGE));
  };
  if (outside !== null) {
    await expectFreeFolder(out);
    await expectOurs();
    await outside.prepare(controls);
  }
  const lock = await lockFolder(out, { onNote: controls.onNote });
  try {
    const isResumed = await expectOurs();
    if (!resume) {
      for (const run of runs) new CheckpointFiles(join(out, run), 2).remove();
      await remove(join(out, name));
    }
    if (!isResumed) await writeJson(join(out, "config.json"), config);
    const result = await body();
    if (isResumed) await writeJson(join(out, "config.json"), config);
    await writeJson(join(out, name), result);
    return result;
  } finally {
    outside?.close();
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
