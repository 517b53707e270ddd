import { DistilleryError } from "../errors.js";
import type { Member, Outcome, Trainer } from "./members.js";

/** How members are watched and stopped. */
export interface CrewControls {
  signal: AbortSignal;
  onStep: (name: string, done: number) => void;
  /** Called when a member is trained, or found trained. */
  onMember: (name: string, outcome: Outcome, seconds: number) => void;
}

/**
 * Trains all members, each trainer one at a time; gives their outcomes in the order of the members. Where one fails or the
 * signal says so, the others stop too and save what they have, and the first failure is thrown.
 */
export async function trainAll(
  members: readonly Member[],
  trainers: readonly Trainer[],
  { signal, onStep, onMember }: CrewControls,
): Promise<Outcome[]> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const outcomes = new Map<Member, Outcome>();
  const failures: unknown[] = [];
  const waiting = [...members];
  const work = async (trainer: Trainer) => {
    for (let member = waiting.shift(); member !== undefined && !either.aborted; member = waiting.shift()) {
      const { name } = member;
      const start = performance.now();
      const outcome = await named(
        name,
        trainer.train(member, either, (done) => onStep(name, done)),
      );
      outcomes.set(member, outcome);
      onMember(name, outcome, (performance.now() - start) / 1000);
    }
  };
  const guarded = (trainer: Trainer) =>
    work(trainer).catch((error: unknown) => {
      failures.push(error);
      failed.abort();
    });
  await Promise.all(trainers.map(guarded));
  if (failures.length > 0) throw failures.find((error) => !isAbort(error)) ?? failures[0];
  if (outcomes.size < members.length) throw new DistilleryError("ABORTED", "stopped between two runs");
  return members.map((member) => outcomes.get(member) as Outcome);
}

/** Adds to a failure which run it was. */
export async function named<T>(name: string, run: Promise<T>): Promise<T> {
  try {
    return await run;
  } catch (error) {
    if (!(error instanceof DistilleryError) || error.message.includes(name)) throw error;
    throw new DistilleryError(error.code, `${name}: ${error.message}`, { cause: error });
  }
}

/** Whether a run stopped because it was told to. */
export function isAbort(error: unknown): boolean {
  return error instanceof DistilleryError && error.code === "ABORTED";
}
