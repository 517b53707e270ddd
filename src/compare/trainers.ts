import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { getNumThreads } from "../threads.js";
import type { Trial } from "./input.js";
import { LocalTrainer } from "./local_trainer.js";
import type { Trainer } from "./members.js";
import { ProcessTrainer } from "./process_trainer.js";
import type { Answers, ReadyTeacher } from "./teacher.js";

/** One trainer in this process or, with workers, as many processes as there are members for; threads are shared out. */
export async function openTrainers(
  { problem, controls }: Trial,
  members: number,
  teacher: ReadyTeacher,
  answers: Answers | null,
): Promise<Trainer[]> {
  const { out, workers, onNote } = controls;
  const { student, data, validation } = problem;
  const count = Math.min(members, workers?.count ?? getNumThreads());
  if (workers === undefined || count < 2) {
    return [
      new LocalTrainer({
        out,
        student,
        data,
        validation,
        teacher: teacher.module,
        cache: answers?.cache ?? null,
        onNote,
      }),
    ];
  }
  const opening = {
    module: addressOf(workers.module),
    argument: workers.argument ?? null,
    dataHash: data.fingerprint(),
    validationHash: validation.fingerprint(),
    teacherFile: teacher.file,
    answersFile: answers?.file ?? null,
    out,
    threads: Math.max(1, Math.floor(getNumThreads() / count)),
  };
  const starts = Array.from({ length: count }, () => ProcessTrainer.start(opening, onNote));
  const started = await Promise.allSettled(starts);
  const trainers = started.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
  const failure = started.find((start) => start.status === "rejected");
  if (failure === undefined) return trainers;
  for (const trainer of trainers) trainer.close();
  throw failure.reason;
}

function addressOf(module: string | URL): string {
  if (module instanceof URL || module.startsWith("file:")) return String(module);
  return pathToFileURL(resolve(module)).href;
}
