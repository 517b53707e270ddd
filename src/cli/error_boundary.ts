import { inspect } from "node:util";
import { CommanderError } from "commander";
import { DistilleryError } from "../errors.js";
import { fromUserCode } from "../user_code.js";
import { printError, whileRead } from "./terminal.js";

/** A command line that makes no sense: exit code 2. */
export class UsageError extends DistilleryError {
  constructor(message: string) {
    super("BAD_ARGUMENT", message);
  }
}

/** The exit codes of all commands. */
export const EXIT = { failed: 1, usage: 2, interrupted: 130 } as const;

/** A command's body whose failure is printed as one line and sets the exit code. */
export function errorBoundary<F extends { debug?: boolean }>(
  body: (flags: F) => Promise<void>,
): (flags: F) => Promise<void> {
  return async (flags) => {
    try {
      await body(flags);
    } catch (error) {
      reportFailure(error, flags.debug ?? false);
    }
  };
}

/** Prints one line on standard error that says what to do, and sets the exit code. */
export function reportFailure(error: unknown, debug: boolean): void {
  if (error instanceof CommanderError) {
    // Help was asked for, and may have failed to be printed.
    if (error.exitCode !== 0) process.exitCode = EXIT.usage;
    return;
  }
  printError(debug && error instanceof Error ? inspect(error) : oneLine(error));
  if (error instanceof UsageError) process.exitCode = EXIT.usage;
  else process.exitCode = isAbort(error) ? EXIT.interrupted : EXIT.failed;
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
    const gone = () => note("standard output was closed: nothing more is printed there; the work goes on");
    return await whileRead(gone, () => body(controller.signal));
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}
