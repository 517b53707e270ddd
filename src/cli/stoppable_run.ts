import { setImmediate } from "node:timers/promises";
import { DistilleryError } from "../errors.js";
import { interruptible } from "./error_boundary.js";
import type { Printer } from "./printer.js";

/** Ends what follows the training if a signal has stopped the command; `left` names what comes next. */
export type ExpectGoing = (left: string) => Promise<void>;

/**
 * Trains, then evaluates and reports in `conclude`, both as {@link interruptible}. A signal in the latter part leaves
 * out what was not yet begun, and the command ends as one that was stopped in the training.
 */
export function stoppableRun<R, T>(
  { note }: Pick<Printer, "note">,
  out: string,
  train: (signal: AbortSignal) => Promise<R>,
  conclude: (result: R, expectGoing: ExpectGoing) => Promise<T>,
): Promise<T> {
  let promise = "finishing the step and saving";
  const stopped = (text: string) => new DistilleryError("ABORTED", text);
  const body = async (signal: AbortSignal) => {
    const result = await train(signal);
    promise = "finishing the part at hand";
    const summary = await conclude(result, async (left) => {
      // A signal that came while figures were computed is known after a turn of the event loop.
      await setImmediate();
      const text = `stopped before ${left}; the training is done and saved in ${out}: re-run with --resume for the rest`;
      if (signal.aborted) throw stopped(text);
    });
    if (signal.aborted) throw stopped(`stopped; the training and all that follows it is done and saved in ${out}`);
    return summary;
  };
  return interruptible(note, body, () => promise);
}
