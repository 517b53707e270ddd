import { CommanderError } from "commander";
import { DistilleryError } from "../errors.js";
import { fromUserCode } from "../user_code.js";

/** A command line that makes no sense: exit code 2. */
export class UsageError extends DistilleryError {
  constructor(message: string) {
    super("BAD_ARGUMENT", message);
  }
}

const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** A command's body whose failure is printed as one line and sets the exit code. */
export function errorBoundary<F extends { debug?: boolean }>(
  body: (flags: F) => Promise<void>,
): (flags: F) => Promise<void> {
  return async (flags) => {
    try {
      await body(flags);
    } catch (error) {
      process.exitCode = reportFailure(error, flags.debug ?? false);
    }
  };
}

/** Prints one line on standard error that says what to do, and gives the exit code. */
export function reportFailure(error: unknown, debug: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (debug && error instanceof Error) console.error(error);
  else console.error(oneLine(error));
  if (error instanceof UsageError) return EXIT.usage;
  return isAbort(error) ? EXIT.interrupted : EXIT.failed;
}

function oneLine(thrown: unknown): string {
  const error = fromUserCode(thrown) ?? thrown;
  const text = (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, " ");
  if (!(error instanceof DistilleryError)) return `distillery: unexpected failure, please report it: ${text}`;
  return isAbort(error) ? `distillery: ${text}` : `distillery: ${text} (${error.code})`;
}

function isAbort(error: unknown): boolean {
  return error instanceof DistilleryError && error.code === "ABORTED";
}

/**
 * Runs `body` with a signal that Ctrl-C or SIGTERM aborts; `promise` says what the command does then. A second Ctrl-C
 * ends the process at once.
 */
export async function interruptible<T>(
  note: (text: string) => void,
  body: (signal: AbortSignal) => Promise<T>,
  promise = "finishing the step and saving",
): Promise<T> {
  const controller = new AbortController();
  const stop = (name: string) => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    note(`${promise}; once more stops at once`);
    controller.abort(name);
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);
  try {
    return await body(controller.signal);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}
