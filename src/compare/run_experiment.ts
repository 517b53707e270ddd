import { join } from "node:path";
import { OVERWRITE_ADVICE } from "../checkpoint/folder_config.js";
import { argumentError, expectInteger, expectObject, expectOptions } from "../checks.js";
import { DistilleryError, isAbort } from "../errors.js";
import { Module } from "../nn/module.js";
import type { ResolvedDistillation } from "../train/options.js";
import { stepsPerEpoch } from "../train/run_schedule.js";
import { progressOf } from "../train/trainer_state.js";
import type { Experiment } from "./experiment.js";
import { OF_SHARES, withShareFolder } from "./experiment_folder.js";
import type { ExperimentProgress } from "./experiment_input.js";
import { logitsFilesIn } from "./external_teacher.js";
import { named, openRunners, runTrials } from "./pool.js";
import { announced, readyTeacher } from "./shared_teacher.js";
import { fractionOf } from "./task.js";
import {
  computeTeacherLogits,
  describeTeacher,
  expectCalibrated,
  NO_LOGITS,
  type SharedLogits,
  TEACHER,
  type TrainedTeacher,
  takeTeacher,
  trainOrTakeTeacher,
} from "./teacher.js";
import type { Outcome, Trial, TrialProgress } from "./trial.js";
import { withCacheUse } from "./trial_losses.js";

/** The result of an experiment's training; nothing in it has seen the test set. */
interface Trained {
  teacher: TrainedTeacher;
  /** What trials that were run came to. */
  outcomesOf(trials: readonly Trial[]): Outcome[];
}

/** What an experiment trains, and what its folder says of that. */
export interface ExperimentPlan {
  experiment: Experiment;
  /** In the order in which they are trained. */
  trials: readonly Trial[];
  teacherSeed: number;
  config: Readonly<Record<string, unknown>>;
}

/** The trials of several groups, which have one for each seed, in the order of the seeds. */
export function seedBySeed(groups: readonly (readonly Trial[])[]): Trial[] {
  return groups[0].flatMap((_, i) => groups.map((trials) => trials[i]));
}

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

/** A share while it is trained. */
interface OwnShare extends Share {
  /** Refuses a configuration that another share wrote meanwhile with other options. */
  expectSame: () => Promise<unknown>;
}

/** The runs of a share; null: of no share, all. */
export function runsOf<T>(runs: readonly T[], share: Share | null): readonly T[] {
  return share === null ? runs : runs.filter((_, i) => i % share.of === share.index);
}

/** What the trials need: the teacher, and how they use it. */
interface Prepared {
  teacher: TrainedTeacher;
  logits: SharedLogits;
  trials: readonly Trial[];
}

/** Trains the teacher with a seed, computes its logits and runs all trials, or those of a share. */
export async function runExperiment(
  { experiment, trials: planned, teacherSeed }: Omit<ExperimentPlan, "config">,
  share: OwnShare | null = null,
): Promise<Trained> {
  const { task, external, options, controls } = experiment;
  const { out, signal, keepCheckpoints, collect, onNote } = controls;
  const isTrained = typeof task.teacher === "function" && (share === null || share.index === 0);
  const ownTrials = runsOf(planned, share);
  const ownRuns = [...(isTrained ? [TEACHER] : []), ...ownTrials.map(({ name }) => name)];
  if (collect) await expectFinished(ownRuns, out, options);
  const totals = totalsOf(experiment, isTrained, ownTrials);
  let done = 0;
  const onTrial = (name: string, { history, best }: Outcome, seconds: number) => {
    done += 1;
    totals.finish(name);
    controls.onTrial({ name, epochs: history.length, best, seconds });
  };
  const prepare = async (): Promise<Prepared> => {
    const start = performance.now();
    const onStep = (progress: TrialProgress) => totals.update(TEACHER, progress);
    const training = { out, keepCheckpoints, seed: teacherSeed, options, signal, onStep, onNote };
    const teacher = await named(TEACHER, trainOrTakeTeacher(task, training));
    if (teacher.outcome !== null) onTrial(TEACHER, teacher.outcome, (performance.now() - start) / 1000);
    // Those that came trained were asked before anything was written, but for a share's from elsewhere.
    if (!collect && (isTrained || share !== null)) await expectCalibrated(experiment, teacher.source);
    const trials = await withCacheUse(experiment, planned, teacher.source);
    const isRead = trials.some(({ usesCachedLogits }) => usesCachedLogits);
    const logits = isRead ? await logitsFor(experiment, teacher.source) : NO_LOGITS;
    return { teacher, logits, trials: runsOf(trials, share) };
  };
  const place = { out, seed: teacherSeed, epochs: options.epochs };
  const takeFromFirstShare = async ({ index, of, expectSame }: OwnShare): Promise<Prepared> => {
    const ready = await readyTeacher(place, { who: `share ${index} of ${of}`, signal, onNote });
    await expectSame();
    const { teacher, logits } = await takeTeacher(experiment, ready);
    return { teacher, logits, trials: await withCacheUse(experiment, ownTrials, teacher.source) };
  };
  const prepareFirstShare = () => {
    const prepareTeacher = async () => {
      await external?.prepare({ ...controls, resume: true });
      return prepare();
    };
    return announced(place, prepareTeacher, ({ teacher, logits }) =>
      describeTeacher(teacher, task.data, logits.known, out),
    );
  };
  const prepareShare = () => {
    if (share === null) return prepare();
    return share.index === 0 ? prepareFirstShare() : takeFromFirstShare(share);
  };
  try {
    const { teacher, logits, trials } = await prepareShare();
    const runners = await openRunners(experiment, trials.length, teacher, logits);
    try {
      const outcomes = await runTrials(trials, runners, {
        signal,
        onTrial,
        onStep: (name, progress) => totals.update(name, progress),
      });
      await controls.answers.settled();
      return { teacher, outcomesOf: (trials) => trials.map(({ name }) => outcomes.get(name) as Outcome) };
    } finally {
      for (const runner of runners) runner.close();
    }
  } catch (error) {
    if (!isAbort(error)) throw error;
    const again = share === null ? "re-run with --resume to continue" : "run this share again to continue";
    const text = `stopped with ${done} of ${ownRuns.length} runs done; their state is saved in ${out}: ${again}`;
    throw new DistilleryError("ABORTED", text, { cause: error });
  }
}

/** Trains a share of the runs; runs that were begun are continued. */
export async function runShare(plan: ExperimentPlan, given: Share): Promise<ShareResult> {
  const { experiment, trials } = plan;
  const share = expectShare(given);
  const { controls } = experiment;
  if (controls.overwrite || controls.collect) {
    const name = controls.overwrite ? "overwrite" : "collect";
    throw argumentError(
      name,
      `a share (--index ${share.index} --of ${share.of}) replaces and collects nothing: leave one of the two out`,
    );
  }
  const isFirst = share.index === 0;
  const own = runsOf(trials, share);
  if (isFirst || own.length > 0) {
    await withShareFolder(plan, isFirst, async (expectSame) => {
      try {
        return await runExperiment(plan, { ...share, expectSame });
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

async function logitsFor(
  { task, external, options, controls }: Experiment,
  teacher: TrainedTeacher["source"],
): Promise<SharedLogits> {
  const { out } = controls;
  if (external !== null) return { known: external.logits, files: await external.save(out) };
  if (!(teacher instanceof Module)) return NO_LOGITS;
  const training = await computeTeacherLogits(teacher, task.data, { ...controls, precision: options.precision });
  if (training === null) return NO_LOGITS;
  return { known: { training, validation: null }, files: { training: logitsFilesIn(out).training, validation: null } };
}

/** Refuses a run that is not done; `NOT_FOUND`. */
async function expectFinished(
  names: readonly string[],
  out: string,
  options: Pick<ResolvedDistillation, "epochs" | "patience">,
): Promise<void> {
  const missing: string[] = [];
  for (const name of names) {
    const progress = await progressOf(join(out, name), options);
    if (progress === null) missing.push(`${name} (not begun)`);
    else if (!progress.isDone) missing.push(`${name} (in epoch ${progress.epoch} of ${options.epochs})`);
  }
  if (missing.length === 0) return;
  const text = `${missing.length} of ${names.length} runs are not done: ${missing.join(", ")}`;
  throw new DistilleryError("NOT_FOUND", `${out}: ${text}: run their shares, then collect again`);
}

/** All steps to make, weighted by the networks' parameters, to which their time is proportional. */
function totalsOf(
  { task, options, teacherRatio, controls }: Experiment,
  isTrained: boolean,
  trials: readonly Trial[],
): ProgressTotals {
  const totals = new ProgressTotals(controls.onProgress);
  const steps = (fraction = 1) => options.epochs * stepsPerEpoch(fractionOf(task.data, fraction), options);
  if (isTrained) totals.add(TEACHER, steps(), teacherRatio);
  for (const { name, fraction } of trials) totals.add(name, steps(fraction), 1);
  return totals;
}

/** Sums the steps of trials that run side by side. */
class ProgressTotals {
  readonly #runs = new Map<string, { steps: number; weight: number; done: number; progress: TrialProgress | null }>();

  constructor(private readonly onProgress: (progress: ExperimentProgress) => void) {}

  /** Adds a trial with its number of steps. */
  add(name: string, steps: number, weight: number): void {
    this.#runs.set(name, { steps, weight, done: 0, progress: null });
  }

  /** Sets how far a trial is. */
  update(name: string, progress: TrialProgress): void {
    this.#set(name, progress.step, progress);
  }

  /** Marks a trial as finished, early or not. */
  finish(name: string): void {
    this.#set(name, this.#runs.get(name)?.steps ?? 0, null);
  }

  #set(name: string, done: number, progress: TrialProgress | null): void {
    const run = this.#runs.get(name);
    if (run === undefined) return;
    Object.assign(run, { done, progress });
    this.onProgress({ ...this.#sums(), trial: name, running: this.#running() });
  }

  #running(): ExperimentProgress["running"] {
    return [...this.#runs].flatMap(([name, { progress }]) => (progress === null ? [] : [{ name, ...progress }]));
  }

  #sums(): { done: number; total: number } {
    const runs = [...this.#runs.values()];
    const sum = (of: "done" | "steps") => runs.reduce((total, run) => total + run.weight * run[of], 0);
    return { done: sum("done"), total: sum("steps") };
  }
}
