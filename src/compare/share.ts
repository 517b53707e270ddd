import { OVERWRITE_ADVICE } from "../checkpoint/folder_config.js";
import { expectInteger, expectObject, expectOptions } from "../checks.js";
import { DistilleryError } from "../errors.js";
import type { Experiment } from "./experiment.js";
import { OF_SHARES, withShareFolder } from "./experiment_folder.js";
import { isOfShare, runExperiment } from "./run_experiment.js";
import type { Trial } from "./trial.js";

/** A part of an experiment's runs, for one of several processes that share a folder. */
export interface Share {
  /** From 0. Share 0 trains the teacher, too; the others wait for it. */
  index: number;
  /** How many shares there are. */
  of: number;
}

/** What {@link compareShare} and {@link sweepShare} did. */
export interface ShareResult {
  share: Share;
  /** The folders of its runs below `out`, all of which are done. */
  runs: string[];
}

/** What an experiment runs. */
interface Plan {
  experiment: Experiment;
  trials: readonly Trial[];
  teacherSeed: number;
  config: Readonly<Record<string, unknown>>;
}

/** Trains a share of the runs; runs that were begun are continued. */
export async function runShare({ experiment, trials, teacherSeed, config }: Plan, given: Share): Promise<ShareResult> {
  const share = expectShare(given);
  const { controls } = experiment;
  if (controls.overwrite || controls.collect) {
    const name = controls.overwrite ? "overwrite" : "collect";
    throw new DistilleryError(
      "BAD_ARGUMENT",
      `${name}: a share (--index ${share.index} --of ${share.of}) replaces and collects nothing: leave one of the two out`,
    );
  }
  const isFirst = share.index === 0;
  const own = trials.filter((_, i) => isOfShare(i, share));
  if (isFirst || own.length > 0) {
    await withShareFolder({ experiment, config }, isFirst, async (expectSame) => {
      try {
        return await runExperiment(experiment, trials, teacherSeed, { ...share, expectSame });
      } catch (error) {
        throw withoutOverwrite(error);
      }
    });
  }
  return { share, runs: own.map(({ name }) => name) };
}

/** A trial that refuses other options does not know that a share replaces nothing. */
function withoutOverwrite(error: unknown): unknown {
  if (!(error instanceof DistilleryError) || !error.message.includes(OVERWRITE_ADVICE)) return error;
  return new DistilleryError(error.code, error.message.replace(OVERWRITE_ADVICE, OF_SHARES), { cause: error });
}

function expectShare(share: Share): Share {
  expectObject("share", share);
  expectOptions("share", share, ["index", "of"]);
  const of = expectInteger("share.of", share.of, 1);
  return { index: expectInteger("share.index", share.index, 0, of - 1), of };
}
