import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";

/** What a peer answers to a request. */
export interface Reply {
  readonly versions?: Readonly<Record<string, string>>;
  readonly losses?: readonly number[];
  readonly seconds?: number;
}

/** A peer in a process of its own that stays: requests and replies are lines of JSON, one reply a request. */
export class PeerProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  #trouble = "";

  private constructor(program: string, args: readonly string[]) {
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.on("error", ({ message }) => {
      this.#trouble = message;
    });
    this.#child.stderr?.on("data", (chunk) => {
      this.#trouble = lastLine(`${this.#trouble}${chunk}`);
    });
    this.#child.stdin?.on("error", () => {});
    this.#reader = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** Starts a peer with so many threads; throws where the program is missing or can't do its work. */
  static async start(program: string, args: readonly string[], threads: number): Promise<[PeerProcess, Reply]> {
    const peer = new PeerProcess(program, args);
    return [peer, await peer.ask({ threads })];
  }

  /** The reply to a request; throws what the peer calls an error, or why it ended. */
  async ask(request: Readonly<Record<string, unknown>>): Promise<Reply> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(this.#trouble || "it ended");
    const reply = JSON.parse(value) as Reply & { error?: string };
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply;
  }

  /** Ends the process. */
  stop(): void {
    this.#reader.close();
    this.#child.kill();
  }
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}
