// The program of a worker process, started by worker_runner.ts.

import { load } from "../checkpoint/index.js";
import { argumentError } from "../checks.js";
import { fingerprintOf } from "../data/dataset.js";
import { DistilleryError } from "../errors.js";
import { Module } from "../nn/module.js";
import { shortageOf } from "../shortage.js";
import { TeacherCache } from "../teachers/index.js";
import { setNumThreads } from "../threads.js";
import { fromUserCode } from "../user_code.js";
import type { SplitLogits } from "./external_teacher.js";
import { splitTask, type Task, teacherOf } from "./task.js";
import { InProcessRunner, type Trial } from "./trial.js";
import type { Init, Request, Response } from "./worker_runner.js";

const MILLISECONDS_BETWEEN_REPORTS = 100;

const stop = new AbortController();
let runner: InProcessRunner;

// Ctrl-C reaches every process of a terminal, a scheduler's signal every one of a job: the parent process decides. A
// write beyond the limit of a file's size fails without the signal.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGXFSZ"]) process.on(signal, () => {});
// The parent process is gone, or needs this one no more.
process.on("disconnect", () => process.exit());
process.on("message", (order: Request) => void handle(order).catch(fail));

async function handle(order: Request): Promise<void> {
  if (order.kind === "stop") return stop.abort();
  if (order.kind === "train") return train(order.trial);
  runner = await open(order.init);
  report({ kind: "ready" });
}

async function open(init: Init): Promise<InProcessRunner> {
  const { default: make } = (await import(init.module).catch(absent(init.module))) as { default?: unknown };
  if (typeof make !== "function") {
    const text = `expected a default export, a function that gives the task, in ${init.module}`;
    throw argumentError("workers.module", text);
  }
  const task = splitTask((await make(init.argument)) as Task);
  // After the module, which may have set it for a process that has all of them.
  setNumThreads(init.threads);
  const { student, data, validation } = task;
  if (fingerprintOf(data) !== init.dataHash || fingerprintOf(validation) !== init.validationHash) {
    const text = `${init.module} gives other data than those that are compared on`;
    throw argumentError("workers.module", text);
  }
  const teacher = teacherOf(task);
  if (teacher instanceof Module && init.teacherFile !== null) {
    teacher.loadStateDict(await load(init.teacherFile, { allowNonFinite: true }));
  }
  const logits = await readLogits(init.logitsFiles);
  const onNote = (text: string) => report({ kind: "note", text });
  const { out, keepCheckpoints } = init;
  return new InProcessRunner({ out, keepCheckpoints, student, data, validation, teacher, logits, onNote });
}

async function readLogits({ training, validation }: Init["logitsFiles"]): Promise<SplitLogits | null> {
  if (training === null) return null;
  return {
    training: await TeacherCache.load(training),
    validation: validation === null ? null : await TeacherCache.load(validation),
  };
}

/** The error of a module that no other process can import, as that of a program that was piped to Node.js. */
function absent(module: string): (error: unknown) => never {
  return (error) => {
    const { code } = error as { code?: string };
    if (code !== "ERR_MODULE_NOT_FOUND" && code !== "ERR_UNSUPPORTED_DIR_IMPORT" && code !== "ENOENT") throw error;
    const text = `${module} can't be imported by another process: give a file that exports the task`;
    const [reason] = (error as Error).message.split("\n", 1);
    throw argumentError("workers.module", `${text} (${reason})`, { cause: error });
  };
}

async function train(trial: Trial): Promise<void> {
  let reported = 0;
  const outcome = await runner.train(trial, stop.signal, (progress) => {
    if (performance.now() - reported < MILLISECONDS_BETWEEN_REPORTS) return;
    reported = performance.now();
    report({ kind: "progress", progress });
  });
  report({ kind: "outcome", outcome });
}

function fail(error: unknown): void {
  const known = error instanceof DistilleryError ? error : (shortageOf(error) ?? fromUserCode(error));
  const { code, message, argument } =
    known ?? new DistilleryError("INTERNAL", String((error as Error)?.stack ?? error));
  report({ kind: "failure", code, message, argument });
}

function report(message: Response): void {
  process.send?.(message);
}
