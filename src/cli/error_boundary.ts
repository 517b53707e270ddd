import { isatty } from "node:tty";
import { inspect } from "node:util";
import { CommanderError } from "commander";
import { show, suggestion } from "../checks.js";
import { DistilleryError, isAbort } from "../errors.js";
import { shortageOf } from "../shortage.js";
import { unsettled } from "../unsettled.js";
import { fromUserCode } from "../user_code.js";
import { namedByFlag } from "./flag_names.js";
import { eraseInterrupt, printError, whileRead } from "./terminal.js";

/** A command line that makes no sense: exit code 2. */
export class UsageError extends DistilleryError {
  constructor(message: string, options?: { cause?: unknown }) {
    super("BAD_ARGUMENT", message, options);
  }
}

/** The message about an argument that is none of the known names. */
export function unknownName(what: string, name: string, names: readonly string[]): string {
  return `unknown ${what} ${show(name)}${suggestion(name, names) || `, expected one of ${names.join(", ")}`}`;
}

/**
 * The exit codes of all commands. Those that a scheduler acts on are sysexits.h's: `requeue` (EX_TEMPFAIL) after
 * SIGTERM or SIGUSR1, `configuration` (EX_CONFIG).
 */
export const EXIT = { failed: 1, usage: 2, requeue: 75, configuration: 78, interrupted: 130 } as const;

const STOPPING = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"] as const;
/**
 * Node.js forgets that nohup had SIGHUP ignored. A process that nohup started has no terminal among its streams, whose
 * end could be meant: there it is ignored. On Windows the signal means that the window closes, whatever the streams
 * are.
 */
const IGNORED = process.platform === "win32" || [0, 1, 2].some((descriptor) => isatty(descriptor)) ? [] : ["SIGHUP"];
const ignore = () => {};

/** What schedulers send ahead of a limit, or to make room. */
const OF_SCHEDULERS: readonly unknown[] = ["SIGTERM", "SIGUSR1"];

/** A command's body whose failure is printed as one line and sets the exit code. */
export function errorBoundary<F extends { debug?: boolean }>(
  body: (flags: F) => Promise<void>,
): (flags: F) => Promise<void> {
  return async (flags) => {
    try {
      await body(flags);
    } catch (error) {
      reportFailure(byFlag(error, flags), flags.debug ?? false);
    }
  };
}

/** An error about an option that a flag gave as wrong usage of the flag. */
export function byFlag(error: unknown, flags: object): unknown {
  if (!(error instanceof DistilleryError) || error.code !== "BAD_ARGUMENT") return error;
  const { argument, message } = error;
  const name = argument === null ? null : namedByFlag(argument, { ...flags });
  return name === null ? error : new UsageError(name + message.slice(argument?.length), { cause: error });
}

/** Prints one line on standard error that says what to do, and sets the exit code. */
export function reportFailure(error: unknown, debug: boolean): void {
  if (error instanceof CommanderError) {
    // Help was asked for, and may have failed to be printed.
    if (error.exitCode !== 0) process.exitCode = EXIT.usage;
    return;
  }
  printError(debug && error instanceof Error ? inspect(error) : oneLine(error));
  process.exitCode = exitCodeOf(error);
}

/** Says of a command whose process ends before it that it did not finish, and that it failed; gives what ends that. */
export function expectEnd(): () => void {
  const fail = (text: string) => reportFailure(new DistilleryError("BAD_ARGUMENT", text), false);
  const onIdle = () => {
    const asked = unsettled();
    fail(
      `${asked ?? "the command did not finish"}: ${asked ? "its promise" : "a promise that it waits for"} never settled`,
    );
  };
  const onExit = (code: number) => {
    if (code === 0) fail("the command did not finish: a module of your own called process.exit");
  };
  process.once("beforeExit", onIdle).once("exit", onExit);
  return () => void process.off("beforeExit", onIdle).off("exit", onExit);
}

/** The exit code of a failed command. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError || isOfEnvironment(error)) return EXIT.usage;
  if (isAbort(error)) return OF_SCHEDULERS.includes(stoppedBy) ? EXIT.requeue : EXIT.interrupted;
  return error instanceof DistilleryError && error.code === "BAD_CONFIG" ? EXIT.configuration : EXIT.failed;
}

/** Whether it refuses a variable of the environment. */
function isOfEnvironment(error: unknown): boolean {
  if (!(error instanceof DistilleryError) || error.code !== "BAD_ARGUMENT") return false;
  return /^DISTILLERY_[A-Z]+$/.test(error.argument ?? "");
}

/** The line that says what failed. */
export function oneLine(thrown: unknown): string {
  const error = lostFolder(thrown) ?? shortageOf(thrown) ?? fromUserCode(thrown) ?? thrown;
  const text = (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, " ");
  if (!(error instanceof DistilleryError)) return `distillery: unexpected failure, please report it: ${text}`;
  return isAbort(error) ? `distillery: ${text}` : `distillery: ${text} (${error.code})`;
}

/** The error of a working folder that was removed, which Node.js tells by a call of the system. */
function lostFolder(error: unknown): DistilleryError | null {
  if ((error as NodeJS.ErrnoException | null)?.syscall !== "uv_cwd") return null;
  const text = "the working folder is gone: change to one that exists";
  return new DistilleryError("IO_ERROR", text, { cause: error });
}

/** The signal that stopped the command. */
let stoppedBy: string | null = null;

/**
 * How long after the first a signal still is the same key press: npm hands Ctrl-C on to a process that had it from the
 * terminal, some milliseconds later if all cores are busy. Nobody presses twice within that, and a key that is held
 * repeats later.
 */
const WINDOW_MS = 50;
/** How long a second signal leaves the event loop to end the process and clear the terminal. */
const GRACE_MS = 500;

/**
 * Runs `body` with a signal that Ctrl-C, SIGTERM, SIGUSR1 or the end of the terminal aborts; `promise` says what the
 * command does then. Without a terminal SIGHUP is ignored, to the end of the process. A second Ctrl-C or SIGTERM ends
 * the process at once, also while the event loop is held up.
 */
export async function interruptible<T>(
  note: (text: string) => void,
  body: (signal: AbortSignal) => Promise<T>,
  promise = "finishing the step and saving",
): Promise<T> {
  const controller = new AbortController();
  const end = () => process.exit(EXIT.interrupted);
  let isWatched = false;
  const stop = (name: string) => {
    const isFirst = !controller.signal.aborted;
    // A terminal that closes, and a scheduler ahead of its limit, may send theirs again.
    if (!isFirst && !isWatched && name !== "SIGHUP" && name !== "SIGUSR1") end();
    if (name === "SIGINT") eraseInterrupt();
    if (isFirst) note(`${promise}; once more stops at once`);
    stoppedBy ??= name;
    controller.abort(name);
  };
  // Loaded late: that the binding can't be loaded is reported from here.
  const { native } = await import("../native.js");
  const stopping = STOPPING.filter((name) => !IGNORED.includes(name));
  for (const name of IGNORED) process.off(name, ignore).on(name, ignore);
  for (const name of stopping) process.on(name, stop);
  // In a thread, which has the signals' times while the event loop is in a step. It needs the handlers that are there
  // by now.
  isWatched = native.endAtSecondSignal(end, EXIT.interrupted, WINDOW_MS, GRACE_MS);
  try {
    const gone = () => note("standard output was closed: nothing more is printed there; the work goes on");
    return await whileRead(gone, () => body(controller.signal));
  } finally {
    // What was stopped is ending: its signal's second one may come only now.
    if (!controller.signal.aborted) for (const name of stopping) process.off(name, stop);
  }
}

/** Waits for a signal to abort. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
}
