import { type ChildProcess, type ForkOptions, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { DistilleryError, type ErrorCode } from "../errors.js";
import { ROOT } from "../package.js";
import { SHORTAGES, shortageIn, shortageOf } from "../shortage.js";
import type { LogitsFiles } from "./external_teacher.js";
import type { Outcome, Trial, TrialProgress, TrialRunner } from "./trial.js";

/** The first message to a worker: its task. */
export interface Init {
  /** The address of the module whose default export makes the task, and that function's argument. */
  module: string;
  argument: unknown;
  /** Hashes that the module's data must have. */
  dataHash: string;
  validationHash: string;
  /** The file of the teacher's weights; null if it is no network of Distillery's. */
  teacherFile: string | null;
  /** The files of the teacher's logits, if they could be cached. */
  logitsFiles: LogitsFiles;
  out: string;
  keepCheckpoints: number;
  threads: number;
}

/** A message to a worker. */
export type Request = { kind: "open"; init: Init } | { kind: "train"; trial: Trial } | { kind: "stop" };

/** A message from a worker. */
export type Response =
  | { kind: "ready" }
  | { kind: "progress"; progress: TrialProgress }
  | { kind: "note"; text: string }
  | { kind: "outcome"; outcome: Outcome }
  | { kind: "failure"; code: ErrorCode; message: string; argument: string | null };

/** How long a process may take to open its task, in seconds, unless the caller says more. */
export const START_SECONDS = 60;
/** How long an idle process may take to end. */
const END_MS = 1000;
/** How long what it printed may come after its end. */
const OUTPUT_MS = 200;
/** What is kept of what a process prints, to say why it died. */
const KEPT_LETTERS = 20_000;
/**
 * Node's options that say what the first process runs, instead of how: another one would run it, too, or wait for it.
 */
const PROGRAM_OPTIONS =
  /^(-|-e|-p|-pe|-i|-c|--eval|--print|--interactive|--check|--input-type|--test.*|--watch.*|--inspect.*)(=.*)?$/;

const PROGRAM = fileURLToPath(new URL("dist/compare/worker.js", ROOT));

const RUNNING = new Set<ChildProcess>();
// One that is held up does not see that it is alone.
process.on("exit", () => {
  for (const child of RUNNING) child.kill("SIGKILL");
});

/** Runs trials in a worker process, which makes the task by a module and ends with this process. */
export class WorkerRunner implements TrialRunner {
  readonly #child: ChildProcess;
  /** The request that is in flight. */
  #pending: { resolve: (report: Response) => void; reject: (error: unknown) => void } | null = null;
  #onStep: (progress: TrialProgress) => void = () => {};
  /** Why the process ended; null while it runs. */
  #ended: DistilleryError | null = null;

  /** What the process printed on standard error since its last report. */
  #printed = "";

  private constructor(private readonly onNote: (text: string) => void) {
    const execArgv = process.execArgv.filter((option) => !PROGRAM_OPTIONS.test(option));
    const options: ForkOptions = { execArgv, stdio: ["ignore", "ignore", "pipe", "ipc"] };
    this.#child = fork(PROGRAM, options);
    this.#child.on("message", (report: Response) => this.#receive(report));
    this.#child.on("error", (error) => this.#end(shortageOf(error)?.message ?? error.message, error));
    this.#child.on("close", (code, signal) => this.#died(code, signal));
    // What it started may hold its output open.
    this.#child.on("exit", (code, signal) => void setTimeout(() => this.#died(code, signal), OUTPUT_MS).unref());
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#printed = (this.#printed + text).slice(-KEPT_LETTERS);
    });
    RUNNING.add(this.#child);
  }

  /** Starts the process and sends it its task, which it has to open within `seconds`. */
  static async start(
    init: Init,
    { seconds, signal, onNote }: { seconds: number; signal: AbortSignal; onNote: (text: string) => void },
  ): Promise<WorkerRunner> {
    const runner = new WorkerRunner(onNote);
    const fail = ({ code, message, argument }: DistilleryError) =>
      runner.#settle({ kind: "failure", code, message, argument });
    const late = `workers: a process did not open its task within ${seconds} s: see why, or raise workers.startSeconds`;
    const timer = setTimeout(() => fail(new DistilleryError("IO_ERROR", late)), 1000 * seconds);
    const stop = () => fail(new DistilleryError("ABORTED", "stopped before its first step"));
    signal.addEventListener("abort", stop, { once: true });
    try {
      const opened = runner.#request({ kind: "open", init });
      if (signal.aborted) stop();
      await opened;
      return runner;
    } catch (error) {
      runner.#child.kill("SIGKILL");
      runner.close();
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  }

  async train(trial: Trial, signal: AbortSignal, onStep: (progress: TrialProgress) => void): Promise<Outcome> {
    this.#onStep = onStep;
    const stop = () => this.#send({ kind: "stop" });
    signal.addEventListener("abort", stop, { once: true });
    try {
      const report = await this.#request({ kind: "train", trial });
      if (report.kind !== "outcome") throw new DistilleryError("INTERNAL", `${trial.name}: no outcome came`);
      return report.outcome;
    } catch (error) {
      // It exited because it was asked to stop.
      if (this.#ended !== null && signal.aborted) throw new DistilleryError("ABORTED", "stopped", { cause: error });
      throw error;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
    const { exitCode, signalCode } = this.#child;
    if (!RUNNING.has(this.#child) || exitCode !== null || signalCode !== null) return;
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), END_MS);
    this.#child.once("exit", () => clearTimeout(timer));
  }

  #request(order: Request): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) return reject(this.#ended);
      this.#pending = { resolve, reject };
      this.#send(order);
    });
  }

  /** To a process that is gone, or could not be started, nothing is sent: the event of its end says why. */
  #send(order: Request): void {
    if (this.#child.connected) this.#child.send(order, () => {});
  }

  #receive(report: Response): void {
    if (report.kind === "progress") this.#onStep(report.progress);
    else if (report.kind === "note") this.onNote(report.text);
    else this.#settle(report);
  }

  #settle(report: Response): void {
    const pending = this.#pending;
    this.#pending = null;
    const printed = this.#printed.trimEnd();
    this.#printed = "";
    if (printed !== "") this.onNote(printed);
    if (report.kind === "failure") pending?.reject(new DistilleryError(report.code, report.message, report));
    else pending?.resolve(report);
  }

  /** Whoever asks a process to end asks for the end of all: Ctrl-C may reach it before its handlers stand. */
  #died(code: number | null, signal: NodeJS.Signals | null): void {
    RUNNING.delete(this.#child);
    const isAsked = signal === "SIGINT" || signal === "SIGTERM" || signal === "SIGHUP" || signal === "SIGUSR1";
    if (isAsked) this.#ended ??= new DistilleryError("ABORTED", `stopped by ${signal}`);
    const last = this.#printed
      .trimEnd()
      .split("\n")
      .findLast((line) => /^\w*Error\b|^FATAL|^#? ?Fatal/.test(line));
    const how = signal === null ? `exit code ${code}` : `killed by ${signal}`;
    const kill = signal === "SIGKILL" ? "; a system that runs out of memory does that" : "";
    this.#end(shortageIn(this.#printed) ?? (last === undefined ? how + kill : `${how}: ${last}`));
  }

  #end(how: string, cause?: unknown): void {
    const text = `a worker process ended (${how}): re-run with --resume to continue`;
    const isShortage = Object.values(SHORTAGES).includes(how);
    RUNNING.delete(this.#child);
    this.#ended ??= new DistilleryError(isShortage ? "IO_ERROR" : "INTERNAL", text, { cause });
    this.#pending?.reject(this.#ended);
    this.#pending = null;
  }
}
