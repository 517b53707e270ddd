import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { DistilleryError, type ErrorCode } from "../errors.js";
import { ROOT } from "../package.js";
import type { Outcome, Trial, TrialRunner } from "./trial.js";

/** The first message to a worker: its task. */
export interface Init {
  /** The address of the module whose default export makes the task, and that function's argument. */
  module: string;
  argument: unknown;
  /** Hashes that the module's data must have. */
  dataHash: string;
  validationHash: string;
  /** Files of the teacher's weights and logits; the latter is null if they cannot be cached. */
  teacherFile: string;
  logitsFile: string | null;
  out: string;
  threads: number;
}

/** A message to a worker. */
export type Request = { kind: "open"; init: Init } | { kind: "train"; trial: Trial } | { kind: "stop" };

/** A message from a worker. */
export type Response =
  | { kind: "ready" }
  | { kind: "steps"; done: number }
  | { kind: "note"; text: string }
  | { kind: "outcome"; outcome: Outcome }
  | { kind: "failure"; code: ErrorCode; message: string };

const PROGRAM = fileURLToPath(new URL("dist/compare/worker.js", ROOT));

/** Runs trials in a worker process, which makes the task by a module and ends with this process. */
export class WorkerRunner implements TrialRunner {
  readonly #child: ChildProcess;
  /** The request that is in flight. */
  #pending: { resolve: (report: Response) => void; reject: (error: unknown) => void } | null = null;
  #onStep: (done: number) => void = () => {};
  /** Why the process ended; null while it runs. */
  #ended: DistilleryError | null = null;

  private constructor(private readonly onNote: (text: string) => void) {
    this.#child = fork(PROGRAM, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    this.#child.on("message", (report: Response) => this.#receive(report));
    this.#child.on("error", (error) => this.#end(error.message, error));
    this.#child.on("exit", (code, signal) => this.#end(signal === null ? `exit code ${code}` : `killed by ${signal}`));
  }

  /** Starts the process and sends it its task. */
  static async start(init: Init, onNote: (text: string) => void): Promise<WorkerRunner> {
    const runner = new WorkerRunner(onNote);
    try {
      await runner.#request({ kind: "open", init });
      return runner;
    } catch (error) {
      runner.close();
      throw error;
    }
  }

  async train(trial: Trial, signal: AbortSignal, onStep: (done: number) => void): Promise<Outcome> {
    this.#onStep = onStep;
    const stop = () => void (this.#child.connected && this.#child.send({ kind: "stop" } satisfies Request));
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
  }

  #request(order: Request): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) return reject(this.#ended);
      this.#pending = { resolve, reject };
      this.#child.send(order);
    });
  }

  #receive(report: Response): void {
    if (report.kind === "steps") this.#onStep(report.done);
    else if (report.kind === "note") this.onNote(report.text);
    else this.#settle(report);
  }

  #settle(report: Response): void {
    const pending = this.#pending;
    this.#pending = null;
    if (report.kind === "failure") pending?.reject(new DistilleryError(report.code, report.message));
    else pending?.resolve(report);
  }

  #end(how: string, cause?: unknown): void {
    const text = `a worker process ended (${how}): re-run with --resume to continue`;
    this.#ended ??= new DistilleryError("INTERNAL", text, { cause });
    this.#pending?.reject(this.#ended);
    this.#pending = null;
  }
}
