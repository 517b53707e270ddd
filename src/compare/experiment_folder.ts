import { rm } from "node:fs/promises";
import { join } from "node:path";
import {
  CheckpointFiles,
  expectFreeFolder,
  expectReplaceable,
  expectResumable,
  lockFolder,
  removeReplacedExperiment,
} from "../checkpoint/index.js";
import { CONFIG } from "../checkpoint/run_folder.js";
import { DistilleryError } from "../errors.js";
import { ioError, writeJson } from "../files/index.js";
import type { Experiment } from "./experiment.js";
import { readyHash, TEACHER_STATE } from "./shared_teacher.js";
import { expectCalibrated, TEACHER } from "./teacher.js";
import type { Trial } from "./trial.js";

/** The contents of an experiment's folder. */
interface FolderContents {
  experiment: Pick<Experiment, "task" | "options" | "controls" | "external" | "calibrateTeacher">;
  trials: readonly Trial[];
  /** Written as `config.json`. */
  config: Readonly<Record<string, unknown>>;
  /** The name of the file for the result, as JSON. */
  result: string;
}

/** The options that add trials to the ones of before. */
const GROWING = ["seeds", "losses", "calibrateTeacher", "temperatures", "alphas", "fractions"];
const GROWS = { free: new Set(GROWING), longer: false };

/**
 * What may change when an experiment is resumed: which trials there are. Each trial compares what is its own. More
 * epochs are another experiment: its trials would have the schedule of fewer first, unlike those that are added.
 */
const MAY_CHANGE = { free: new Set([...GROWING, "seed", "loss", "modules"]), longer: false };

/** What to do about other options if shares refuse `--overwrite`. */
export const OF_SHARES = "give the options of the other shares, or choose another folder for all of them";

/**
 * Runs `body` while the folder is locked, and writes its result there. A teacher from elsewhere is asked before.
 * Without `resume`, an earlier result and the trials' checkpoints are removed first, with `overwrite` all runs of an
 * experiment of other options; with it, what may have changed is written once no trial has refused it.
 */
export async function withExperimentFolder<T>(contents: FolderContents, body: () => Promise<T>): Promise<T> {
  const { experiment, trials, config, result: name } = contents;
  const { controls, external } = experiment;
  const { out, resume, overwrite, collect } = controls;
  const isKept = resume || collect;
  const expectOurs = async () => {
    if (!isKept && !overwrite) await expectReplaceable(out, config, { resumed: GROWS });
    return isKept && (await expectResumable(out, config, MAY_CHANGE, collect ? OF_SHARES : undefined));
  };
  // Before the folder is made.
  if (collect && !(await expectOurs())) throw new DistilleryError("NOT_FOUND", `${out}: no share of it has begun`);
  if (external !== null) {
    if (!collect) await expectFreeFolder(out);
    await expectOurs();
    const hash = collect ? readyHash(out) : null;
    await external.prepare({ ...controls, resume: isKept, hash });
  }
  if (!collect) await expectCalibrated(experiment);
  return whileLocked(experiment, collect, async () => {
    const isResumed = await expectOurs();
    if (!isKept) {
      if (overwrite) removeReplacedExperiment(out, config);
      for (const { name } of [...trials, { name: TEACHER }]) new CheckpointFiles(join(out, name), 2).remove();
      for (const file of [name, TEACHER_STATE]) await remove(join(out, file));
    }
    if (!isResumed) await writeJson(join(out, CONFIG), config);
    const result = await body();
    if (isResumed) await writeJson(join(out, CONFIG), config);
    await writeJson(join(out, name), result);
    return result;
  });
}

/**
 * Runs `body` for a share of an experiment while the folder is locked for shares alone; the first one writes the
 * configuration. `expectSame` refuses one that has come there meanwhile from a share with other options.
 */
export async function withShareFolder<T>(
  { experiment, config }: Pick<FolderContents, "experiment" | "config">,
  isFirst: boolean,
  body: (expectSame: () => Promise<boolean>) => Promise<T>,
): Promise<T> {
  const { controls, external } = experiment;
  const { out } = controls;
  // A share asks a teacher from elsewhere later.
  if (isFirst && external === null) await expectCalibrated(experiment);
  const expectSame = () => expectResumable(out, config, MAY_CHANGE, OF_SHARES);
  return whileLocked(experiment, true, async () => {
    if (!(await expectSame()) && isFirst) await writeJson(join(out, CONFIG), config);
    return body(expectSame);
  });
}

/** Runs `body` while the folder is locked; a teacher from elsewhere is closed before it is released. */
async function whileLocked<T>(
  { controls: { out, onNote }, external }: FolderContents["experiment"],
  shared: boolean,
  body: () => Promise<T>,
): Promise<T> {
  const lock = await lockFolder(out, { shared, onNote });
  try {
    return await body();
  } finally {
    try {
      await external?.close();
    } finally {
      lock.release();
    }
  }
}

async function remove(file: string): Promise<void> {
  await rm(file, { force: true }).catch((error: unknown) => {
    throw ioError("write", file, error);
  });
}
