// The program of a process that trains members for another one: see process_trainer.ts.
import { load } from "../checkpoint/index.js";
import { DistilleryError } from "../errors.js";
import { setNumThreads } from "../threads.js";
import { TeacherCache } from "../train/index.js";
import { LocalTrainer } from "./local_trainer.js";
import type { Member } from "./members.js";
import type { Opening, Order, Report } from "./messages.js";
import { type Problem, splitProblem } from "./problem.js";

const MILLISECONDS_BETWEEN_REPORTS = 100;

const stop = new AbortController();
let trainer: LocalTrainer;

// Ctrl-C reaches every process of a terminal: the one that started this one says what is to be done.
process.on("SIGINT", () => {}).on("SIGTERM", () => {});
// Whoever started it is gone, or needs it no more.
process.on("disconnect", () => process.exit());
process.on("message", (order: Order) => void obey(order).catch(fail));

async function obey(order: Order): Promise<void> {
  if (order.kind === "stop") return stop.abort();
  if (order.kind === "train") return train(order.member);
  trainer = await open(order.opening);
  report({ kind: "ready" });
}

async function open(opening: Opening): Promise<LocalTrainer> {
  const { default: make } = (await import(opening.module)) as { default?: unknown };
  if (typeof make !== "function") {
    const text = `workers.module: expected a default export, a function that gives the problem, in ${opening.module}`;
    throw new DistilleryError("BAD_ARGUMENT", text);
  }
  const problem = splitProblem((await make(opening.argument)) as Problem);
  // After the module, which may have set it for a process that has all of them.
  setNumThreads(opening.threads);
  const { student, data, validation } = problem;
  if (data.fingerprint() !== opening.dataHash || validation.fingerprint() !== opening.validationHash) {
    const text = `workers.module: ${opening.module} gives other data than those that are compared on`;
    throw new DistilleryError("BAD_ARGUMENT", text);
  }
  const teacher = typeof problem.teacher === "function" ? problem.teacher() : problem.teacher;
  teacher.loadStateDict(await load(opening.teacherFile, { allowNonFinite: true }));
  const cache = opening.answersFile === null ? null : await TeacherCache.load(opening.answersFile);
  const onNote = (text: string) => report({ kind: "note", text });
  return new LocalTrainer({ out: opening.out, student, data, validation, teacher, cache, onNote });
}

async function train(member: Member): Promise<void> {
  let reported = 0;
  const outcome = await trainer.train(member, stop.signal, (done) => {
    if (performance.now() - reported < MILLISECONDS_BETWEEN_REPORTS) return;
    reported = performance.now();
    report({ kind: "steps", done });
  });
  report({ kind: "outcome", outcome });
}

function fail(error: unknown): void {
  const { code, message } =
    error instanceof DistilleryError
      ? error
      : { code: "INTERNAL" as const, message: String((error as Error)?.stack ?? error) };
  report({ kind: "failure", code, message });
}

function report(message: Report): void {
  process.send?.(message);
}
