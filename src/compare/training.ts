import { DataLoader } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import { isAbort, named, trainAll } from "./crew.js";
import type { Trial } from "./input.js";
import type { Member, Outcome } from "./members.js";
import { Tally } from "./progress.js";
import { askTeacher, type ReadyTeacher, readyTeacher, TEACHER } from "./teacher.js";
import { openTrainers } from "./trainers.js";

/** What training ends with: nothing here has seen the test set. */
export interface Trained {
  teacher: ReadyTeacher;
  /** In the order of the members. */
  outcomes: Outcome[];
}

/** Trains the teacher with a seed, asks it, and trains all members. */
export async function trainTrial(trial: Trial, members: readonly Member[], teacherSeed: number): Promise<Trained> {
  const { problem, options, controls } = trial;
  const { out, signal, onNote } = controls;
  const tally = tallyOf(trial, members);
  let done = 0;
  const onMember = (name: string, { history, best }: Outcome, seconds: number) => {
    done += 1;
    tally.finish(name);
    controls.onMember({ name, epochs: history.length, best, seconds });
  };
  try {
    const start = performance.now();
    const onStep = (step: number) => tally.update(TEACHER, step);
    const training = { out, seed: teacherSeed, options, signal, onStep, onNote };
    const teacher = await named(TEACHER, readyTeacher(problem, training));
    if (teacher.outcome !== null) onMember(TEACHER, teacher.outcome, (performance.now() - start) / 1000);
    const answers = await askTeacher(teacher.module, problem.data, { out, signal, onNote });
    const trainers = await openTrainers(trial, members.length, teacher, answers);
    try {
      const outcomes = await trainAll(members, trainers, {
        signal,
        onMember,
        onStep: (name, step) => tally.update(name, step),
      });
      return { teacher, outcomes };
    } finally {
      for (const trainer of trainers) trainer.close();
    }
  } catch (error) {
    if (!isAbort(error)) throw error;
    const runs = typeof problem.teacher === "function" ? members.length + 1 : members.length;
    const text = `stopped with ${done} of ${runs} runs done; their state is saved in ${out}: the same command with --resume goes on`;
    throw new DistilleryError("ABORTED", text, { cause: error });
  }
}

/** All steps that are ahead, weighted by the networks' parameters, to which their time is proportional. */
function tallyOf({ problem, options, teacherRatio, controls }: Trial, members: readonly Member[]): Tally {
  const { teacher, data } = problem;
  const tally = new Tally(controls.onProgress);
  const steps = options.epochs * new DataLoader(data, options).length;
  if (typeof teacher === "function") tally.add(TEACHER, steps, teacherRatio);
  for (const { name } of members) tally.add(name, steps, 1);
  return tally;
}
