import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { DistilleryError } from "../errors.js";
import { ROOT } from "../package.js";
import type { Member, Outcome, Trainer } from "./members.js";
import type { Opening, Order, Report } from "./messages.js";

const PROGRAM = fileURLToPath(new URL("dist/compare/member_process.js", ROOT));

/** Trains members in a process of its own, which has the problem from a module and ends with this process. */
export class ProcessTrainer implements Trainer {
  readonly #child: ChildProcess;
  /** Who waits for an answer. */
  #waiting: { resolve: (report: Report) => void; reject: (error: unknown) => void } | null = null;
  #onStep: (done: number) => void = () => {};
  /** Why it does not answer any more. */
  #ended: DistilleryError | null = null;

  private constructor(private readonly onNote: (text: string) => void) {
    this.#child = fork(PROGRAM, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    this.#child.on("message", (report: Report) => this.#hear(report));
    this.#child.on("error", (error) => this.#end(error.message, error));
    this.#child.on("exit", (code, signal) => this.#end(signal === null ? `exit code ${code}` : `killed by ${signal}`));
  }

  /** Starts the process, which makes the problem. */
  static async start(opening: Opening, onNote: (text: string) => void): Promise<ProcessTrainer> {
    const trainer = new ProcessTrainer(onNote);
    try {
      await trainer.#ask({ kind: "open", opening });
      return trainer;
    } catch (error) {
      trainer.close();
      throw error;
    }
  }

  async train(member: Member, signal: AbortSignal, onStep: (done: number) => void): Promise<Outcome> {
    this.#onStep = onStep;
    const stop = () => void (this.#child.connected && this.#child.send({ kind: "stop" } satisfies Order));
    signal.addEventListener("abort", stop, { once: true });
    try {
      const report = await this.#ask({ kind: "train", member });
      if (report.kind !== "outcome") throw new DistilleryError("INTERNAL", `${member.name}: no outcome came`);
      return report.outcome;
    } catch (error) {
      // It was told to stop, and did so in its own way.
      if (this.#ended !== null && signal.aborted) throw new DistilleryError("ABORTED", "stopped", { cause: error });
      throw error;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }

  #ask(order: Order): Promise<Report> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) return reject(this.#ended);
      this.#waiting = { resolve, reject };
      this.#child.send(order);
    });
  }

  #hear(report: Report): void {
    if (report.kind === "steps") this.#onStep(report.done);
    else if (report.kind === "note") this.onNote(report.text);
    else this.#answer(report);
  }

  #answer(report: Report): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (report.kind === "failure") waiting?.reject(new DistilleryError(report.code, report.message));
    else waiting?.resolve(report);
  }

  #end(how: string, cause?: unknown): void {
    const text = `a process that trains came to its end (${how}): the same command with --resume goes on`;
    this.#ended ??= new DistilleryError("INTERNAL", text, { cause });
    this.#waiting?.reject(this.#ended);
    this.#waiting = null;
  }
}
