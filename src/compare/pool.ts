import { setMaxListeners } from "node:events";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { fingerprintOf } from "../data/dataset.js";
import { DistilleryError, isAbort } from "../errors.js";
import { getNumThreads } from "../threads.js";
import type { Experiment } from "./experiment.js";
import type { SharedLogits, TrainedTeacher } from "./teacher.js";
import { InProcessRunner, type Outcome, type Trial, type TrialProgress, type TrialRunner } from "./trial.js";
import { START_SECONDS, WorkerRunner } from "./worker_runner.js";

/** A runner in this process or, with `workers`, one for each worker process; the threads are divided among them. */
export async function openRunners(
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
    dataHash: fingerprintOf(data),
    validationHash: fingerprintOf(validation),
    teacherFile: teacher.file,
    logitsFiles: files,
    out,
    keepCheckpoints,
    threads: Math.max(1, Math.floor(getNumThreads() / count)),
  };
  const stopping = AbortSignal.any([signal]);
  // One listener per process is not a leak.
  setMaxListeners(0, stopping);
  const controlsOfStart = { seconds: workers.startSeconds ?? START_SECONDS, signal: stopping, onNote };
  let opened = 0;
  const reportOpened = () => onWork({ work: "starting processes", done: opened, total: count });
  reportOpened();
  const starts = Array.from({ length: count }, async () => {
    const runner = await WorkerRunner.start(init, controlsOfStart);
    opened += 1;
    reportOpened();
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
  onStep: (name: string, progress: TrialProgress) => void;
  /** Called when a trial has finished, now or before. */
  onTrial: (name: string, outcome: Outcome, seconds: number) => void;
}

/**
 * Runs all trials, one at a time on each runner; returns their outcomes by name. If one fails or the signal is aborted,
 * the others save their state and stop, and the first failure is thrown.
 */
export async function runTrials(
  trials: readonly Trial[],
  runners: readonly TrialRunner[],
  { signal, onStep, onTrial }: PoolControls,
): Promise<ReadonlyMap<string, Outcome>> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  setMaxListeners(0, either);
  const outcomes = new Map<string, Outcome>();
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
      outcomes.set(name, outcome);
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
  return outcomes;
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
