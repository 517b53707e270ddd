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

/** An invalid command line: exit code 2. */
export class UsageError extends DistilleryError {
  constructor(message: string, options?: { cause?: unknown }) {
    super("BAD_ARGUMENT", message, options);
  }
}

/** The message about an argument that is not one of the known names. */
export function unknownName(what: string, name: string, names: readonly string[]): string {
  return `unknown ${what} ${show(name)}${suggestion(name, names) || `, expected one of ${names.join(", ")}`}`;
}

/**
 * The exit codes of all commands. Those that a scheduler acts on are from sysexits.h: `requeue` (EX_TEMPFAIL) after
 * SIGTERM or SIGUSR1, `configuration` (EX_CONFIG).
 */
export const EXIT = { failed: 1, usage: 2, requeue: 75, configuration: 78, interrupted: 130 } as const;

const STOPPING = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"] as const;
/**
 * Node.js forgets that nohup had SIGHUP ignored. A process started by nohup has no terminal among its streams, so
 * SIGHUP can't announce the end of one and is ignored. On Windows the signal means that the window closes, whatever the
 * streams are.
 */
const IGNORED = process.platform === "win32" || [0, 1, 2].some((descriptor) => isatty(descriptor)) ? [] : ["SIGHUP"];
const ignore = () => {};

/** Signals that schedulers send ahead of a time limit or a preemption. */
const OF_SCHEDULERS: readonly unknown[] = ["SIGTERM", "SIGUSR1"];

/** Wraps a command's body: a failure is printed as one line and sets the exit code. */
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

/** Turns an error about an option that came from a flag into a usage error of that flag. */
export function byFlag(error: unknown, flags: object): unknown {
  if (!(error instanceof DistilleryError) || error.code !== "BAD_ARGUMENT") return error;
  const { argument, message } = error;
  const name = argument === null ? null : namedByFlag(argument, { ...flags });
  return name === null ? error : new UsageError(name + message.slice(argument?.length), { cause: error });
}

/** Prints one line on standard error that says what to do, and sets the exit code. */
export function reportFailure(error: unknown, debug: boolean): void {
  if (error instanceof CommanderError) {
    // Help was requested, and printing it may have failed.
    if (error.exitCode !== 0) process.exitCode = EXIT.usage;
    return;
  }
  printError(debug && error instanceof Error ? inspect(error) : oneLine(error));
  process.exitCode = exitCodeOf(error);
}

/**
 * If the process ends before the command does, reports that it did not finish and failed. Returns a function that stops
 * this.
 */
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

/** Whether the error is about an environment variable. */
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

/** The error for a removed working folder, which Node.js reports as a system call. */
function lostFolder(error: unknown): DistilleryError | null {
  if ((error as NodeJS.ErrnoException | null)?.syscall !== "uv_cwd") return null;
  const text = "the working folder is gone: change to one that exists";
  return new DistilleryError("IO_ERROR", text, { cause: error });
}

/** The signal that stopped the command. */
let stoppedBy: string | null = null;

/**
 * A signal this soon after the first is the same key press: npm forwards a Ctrl-C that the process already got from the
 * terminal, some milliseconds later if all cores are busy. Nobody presses twice within that time, and a key that is
 * held repeats later.
 */
const WINDOW_MS = 50;
/** How long the event loop has after a second signal to end the process and clear the terminal. */
const GRACE_MS = 500;

/** The call of {@link interruptible} that has the handlers; `saying` is of the innermost call in it. */
let running: { signal: AbortSignal; saying: Saying } | null = null;
/** What a signal has the command do, and who prints it. */
interface Saying {
  note: (text: string) => void;
  promise: string | (() => string);
}

/**
 * Runs `body` with a signal that Ctrl-C, SIGTERM, SIGUSR1 or the end of the terminal aborts; `promise` says what the
 * command does then. Without a terminal, SIGHUP is ignored until the process ends. A second Ctrl-C or SIGTERM ends the
 * process at once, even while the event loop is blocked. A call within another one, such as that of a chain's link,
 * gets the same signal.
 */
export async function interruptible<T>(
  note: (text: string) => void,
  body: (signal: AbortSignal) => Promise<T>,
  promise: string | (() => string) = "finishing the step and saving",
): Promise<T> {
  const saying = { note, promise };
  const gone = () => note("standard output was closed: nothing more is printed there; the work goes on");
  const outer = running;
  if (outer !== null) {
    const before = outer.saying;
    outer.saying = saying;
    try {
      return await whileRead(gone, () => body(outer.signal));
    } finally {
      outer.saying = before;
    }
  }
  const controller = new AbortController();
  const { signal } = controller;
  const own = { signal, saying };
  const end = () => process.exit(EXIT.interrupted);
  let isWatched = false;
  const stop = (name: string) => {
    const isFirst = !signal.aborted;
    // A closing terminal, and a scheduler ahead of its limit, may send their signals again.
    if (!isFirst && !isWatched && name !== "SIGHUP" && name !== "SIGUSR1") end();
    if (name === "SIGINT") eraseInterrupt();
    const { promise, note } = own.saying;
    if (isFirst) note(`${typeof promise === "string" ? promise : promise()}; once more stops at once`);
    stoppedBy ??= name;
    controller.abort(name);
  };
  // Loaded late, so that a binding that fails to load is reported from here.
  const { native } = await import("../native.js");
  const stopping = STOPPING.filter((name) => !IGNORED.includes(name));
  for (const name of IGNORED) process.off(name, ignore).on(name, ignore);
  for (const name of stopping) process.on(name, stop);
  // Runs in a thread, which sees the signals' times while the event loop is in a step. It needs the handlers that are
  // installed by now.
  isWatched = native.endAtSecondSignal(end, EXIT.interrupted, WINDOW_MS, GRACE_MS);
  running = own;
  try {
    return await whileRead(gone, () => body(signal));
  } finally {
    running = null;
    // After a stop the handlers stay: the second signal may come only now.
    if (!signal.aborted) for (const name of stopping) process.off(name, stop);
  }
}

/** Waits for a signal to abort. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
}
