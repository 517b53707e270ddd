import { setMaxListeners } from "node:events";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { DistilleryError } from "../errors.js";
import type { DistillationLoss } from "../losses/index.js";
import { readsTeacherLogits } from "../losses/loss.js";
import { Module } from "../nn/module.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { getNumThreads } from "../threads.js";
import type { ResolvedDistillation } from "../train/options.js";
import { readsLogitsAlone, resolveLoss } from "../train/resolve_loss.js";
import { stepsPerEpoch } from "../train/steps_per_epoch.js";
import { progressOf } from "../train/trainer_state.js";
import type { Experiment, ExperimentProgress } from "./experiment.js";
import { logitsFilesIn } from "./external_teacher.js";
import { fractionOf } from "./fraction_of.js";
import { announced, readyTeacher } from "./shared_teacher.js";
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
import { InProcessRunner, type Outcome, type RunProgress, type Trial, type TrialRunner } from "./trial.js";
import { START_SECONDS, WorkerRunner } from "./worker_runner.js";

/** The result of an experiment's training; nothing in it has seen the test set. */
export interface Trained {
  teacher: TrainedTeacher;
  /** In the order of the trials. */
  outcomes: Outcome[];
}

/** The share of the runs that a process trains. */
interface OwnShare {
  index: number;
  of: number;
  /** Refuses a configuration that another share wrote meanwhile with other options. */
  expectSame: () => Promise<unknown>;
}

/** Whether a run belongs to a share, by its place. */
export function isOfShare(place: number, { index, of }: Pick<OwnShare, "index" | "of">): boolean {
  return place % of === index;
}

/** What the trials need: the teacher, and how they use it. */
interface Prepared {
  teacher: TrainedTeacher;
  logits: SharedLogits;
  trials: Trial[];
}

/** Trains the teacher with a seed, computes its logits and runs all trials, or those of a share. */
export async function runExperiment(
  experiment: Experiment,
  planned: readonly Trial[],
  teacherSeed: number,
  share: OwnShare | null = null,
): Promise<Trained> {
  const { task, external, options, controls } = experiment;
  const { out, signal, keepCheckpoints, collect, onNote } = controls;
  const own = <T>(trials: readonly T[]) => trials.filter((_, i) => share === null || isOfShare(i, share));
  const isTrained = typeof task.teacher === "function" && (share === null || share.index === 0);
  const ownRuns = [...(isTrained ? [TEACHER] : []), ...own(planned).map(({ name }) => name)];
  if (collect) await expectFinished(ownRuns, out, options);
  const totals = totalsOf(experiment, isTrained, own(planned));
  let done = 0;
  const onTrial = (name: string, { history, best }: Outcome, seconds: number) => {
    done += 1;
    totals.finish(name);
    controls.onTrial({ name, epochs: history.length, best, seconds });
  };
  const prepare = async (): Promise<Prepared> => {
    const start = performance.now();
    const onStep = (progress: RunProgress) => totals.update(TEACHER, progress);
    const training = { out, keepCheckpoints, seed: teacherSeed, options, signal, onStep, onNote };
    const teacher = await named(TEACHER, trainOrTakeTeacher(task, training));
    if (teacher.outcome !== null) onTrial(TEACHER, teacher.outcome, (performance.now() - start) / 1000);
    // Those that came trained were asked before anything was written, but for a share's from elsewhere.
    if (!collect && (isTrained || share !== null)) await expectCalibrated(experiment, teacher.source);
    const trials = await withCacheUse(experiment, planned, teacher.source);
    const isRead = trials.some(({ usesCachedLogits }) => usesCachedLogits);
    const logits = isRead ? await logitsFor(experiment, teacher.source) : NO_LOGITS;
    return { teacher, logits, trials: own(trials) };
  };
  const place = { out, seed: teacherSeed, epochs: options.epochs };
  /** In a share but the first. */
  const taken = async ({ index, of, expectSame }: OwnShare): Promise<Prepared> => {
    const ready = await readyTeacher(place, { who: `share ${index} of ${of}`, signal, onNote });
    await expectSame();
    const { teacher, logits } = await takeTeacher(experiment, ready);
    return { teacher, logits, trials: await withCacheUse(experiment, own(planned), teacher.source) };
  };
  const prepared = () => {
    if (share === null) return prepare();
    if (share.index > 0) return taken(share);
    const make = async () => {
      await external?.prepare({ ...controls, resume: true });
      return prepare();
    };
    return announced(place, make, ({ teacher, logits }) => describeTeacher(teacher, task.data, logits.known, out));
  };
  try {
    const { teacher, logits, trials } = await prepared();
    const runners = await openRunners(experiment, trials.length, teacher, logits);
    try {
      const outcomes = await runTrials(trials, runners, {
        signal,
        onTrial,
        onStep: (name, progress) => totals.update(name, progress),
      });
      await controls.answers.settled();
      return { teacher, outcomes };
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

/** Refuses, `NOT_FOUND`, where a run is not done. */
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

/** Refuses losses that do not go with the data or the networks, before anything is written. */
export async function expectLosses(experiment: Experiment, trials: readonly Trial[]): Promise<void> {
  await withCacheUse(experiment, trials, firstTeacher(experiment));
}

/** Those of some losses that read the teacher's logits. */
export async function lossesOfLogits(
  experiment: Experiment,
  losses: readonly Trial["loss"][],
): Promise<ReadonlySet<Trial["loss"]>> {
  return lossesThat(readsTeacherLogits, experiment, losses, firstTeacher(experiment));
}

/** The teacher before it is trained. */
function firstTeacher({ task: { teacher }, external }: Experiment): unknown {
  return external?.teacher ?? (typeof teacher === "function" ? withGenerator(new Generator(0), teacher) : teacher);
}

/** The trials with whether they use cached logits. */
async function withCacheUse(experiment: Experiment, trials: readonly Trial[], teacher: unknown): Promise<Trial[]> {
  const distilled = trials.filter(({ kind }) => kind === "distilled").map(({ loss }) => loss);
  const users = await lossesThat(readsLogitsAlone, experiment, distilled, teacher);
  return trials.map((trial) => ({ ...trial, usesCachedLogits: trial.kind === "distilled" && users.has(trial.loss) }));
}

/** The losses that something holds of; each is made once to tell, and that of temperature and alpha reads logits. */
async function lossesThat(
  holds: (loss: DistillationLoss) => boolean,
  { task, options: { labelSmoothing } }: Experiment,
  losses: readonly Trial["loss"][],
  teacher: unknown,
): Promise<Set<Trial["loss"]>> {
  const generator = new Generator(0);
  const student = withGenerator(generator, task.student);
  const use = { student, teacher, data: task.data, labelSmoothing, generator };
  const those = new Set<Trial["loss"]>();
  for (const loss of new Set(losses)) if (loss === null || holds(await resolveLoss(loss, use))) those.add(loss);
  return those;
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

/** A runner in this process or, with `workers`, one for each worker process; the threads are divided among them. */
async function openRunners(
  { task, controls }: Experiment,
  trials: number,
  teacher: TrainedTeacher,
  { known, files }: SharedLogits,
): Promise<TrialRunner[]> {
  const { out, workers, keepCheckpoints, collect, signal, onWork, onNote } = controls;
  const { student, data, validation } = task;
  const count = Math.min(trials, workers?.count ?? getNumThreads());
  if (workers === undefined || count < 2 || collect) {
    return [
      new InProcessRunner({
        out,
        student,
        data,
        validation,
        teacher: teacher.source,
        logits: known,
        keepCheckpoints,
        onNote,
      }),
    ];
  }
  const init = {
    module: addressOf(workers.module),
    argument: workers.argument ?? null,
    dataHash: data.fingerprint(),
    validationHash: validation.fingerprint(),
    teacherFile: teacher.file,
    logitsFiles: files,
    out,
    keepCheckpoints,
    threads: Math.max(1, Math.floor(getNumThreads() / count)),
  };
  const stopping = AbortSignal.any([signal]);
  // A listener a process is no leak.
  setMaxListeners(0, stopping);
  const controlsOfStart = { seconds: workers.startSeconds ?? START_SECONDS, signal: stopping, onNote };
  let opened = 0;
  const told = () => onWork({ work: "starting processes", done: opened, total: count });
  told();
  const starts = Array.from({ length: count }, async () => {
    const runner = await WorkerRunner.start(init, controlsOfStart);
    opened += 1;
    told();
    return runner;
  });
  const started = await Promise.allSettled(starts);
  const runners = started.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
  const failure = started.find((start) => start.status === "rejected");
  if (failure === undefined) return runners;
  for (const runner of runners) runner.close();
  throw failure.reason;
}

function addressOf(module: string | URL): string {
  if (module instanceof URL || module.startsWith("file:")) return String(module);
  return pathToFileURL(resolve(module)).href;
}

/** Callbacks and the stop signal of {@link runTrials}. */
interface PoolControls {
  signal: AbortSignal;
  onStep: (name: string, progress: RunProgress) => void;
  /** Called when a trial has finished, now or before. */
  onTrial: (name: string, outcome: Outcome, seconds: number) => void;
}

/**
 * Runs all trials, one at a time on each runner; returns their outcomes in the order of the trials. If one fails or the
 * signal aborts, the others save their state and stop, and the first failure is thrown.
 */
async function runTrials(
  trials: readonly Trial[],
  runners: readonly TrialRunner[],
  { signal, onStep, onTrial }: PoolControls,
): Promise<Outcome[]> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  setMaxListeners(0, either);
  const outcomes = new Map<Trial, Outcome>();
  const failures: unknown[] = [];
  const waiting = [...trials];
  const work = async (runner: TrialRunner) => {
    for (let trial = waiting.shift(); trial !== undefined && !either.aborted; trial = waiting.shift()) {
      const { name } = trial;
      const start = performance.now();
      const outcome = await named(
        name,
        runner.train(trial, either, (progress) => onStep(name, progress)),
      );
      outcomes.set(trial, outcome);
      onTrial(name, outcome, (performance.now() - start) / 1000);
    }
  };
  const guarded = (runner: TrialRunner) =>
    work(runner).catch((error: unknown) => {
      failures.push(error);
      failed.abort();
    });
  await Promise.all(runners.map(guarded));
  if (failures.length > 0) throw failures.find((error) => !isAbort(error)) ?? failures[0];
  if (outcomes.size < trials.length) throw new DistilleryError("ABORTED", "stopped between two runs");
  return trials.map((trial) => outcomes.get(trial) as Outcome);
}

/** Adds the name of the trial to its failure. */
export async function named<T>(name: string, run: Promise<T>): Promise<T> {
  try {
    return await run;
  } catch (error) {
    if (!(error instanceof DistilleryError)) throw error;
    // The trial or its folder.
    const [subject] = error.message.split(": ");
    if (subject.endsWith(name)) throw error;
    throw new DistilleryError(error.code, `${name}: ${error.message}`, { cause: error });
  }
}

/** Whether a trial stopped because of the signal. */
export function isAbort(error: unknown): boolean {
  return error instanceof DistilleryError && error.code === "ABORTED";
}

/** Sums the steps of trials that run side by side. */
class ProgressTotals {
  readonly #runs = new Map<string, { steps: number; weight: number; done: number; progress: RunProgress | null }>();

  constructor(private readonly onProgress: (progress: ExperimentProgress) => void) {}

  /** Adds a trial with its number of steps. */
  add(name: string, steps: number, weight: number): void {
    this.#runs.set(name, { steps, weight, done: 0, progress: null });
  }

  /** Sets how far a trial is. */
  update(name: string, progress: RunProgress): void {
    this.#set(name, progress.step, progress);
  }

  /** Marks a trial as finished, early or not. */
  finish(name: string): void {
    this.#set(name, this.#runs.get(name)?.steps ?? 0, null);
  }

  #set(name: string, done: number, progress: RunProgress | null): void {
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
