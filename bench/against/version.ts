import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Answer, Request } from "./child.js";
import type { Group } from "./workloads.js";

/** A version of the library that is measured, by the benchmark of this checkout, in a process of its own. */
export class Version {
  readonly #child: ChildProcess;

  /** `folder` is a built checkout with this benchmark in `dist-bench`. */
  constructor(folder: string) {
    this.#child = fork(join(folder, "dist-bench", "bench", "against", "child.js"), { stdio: ["ignore", 2, 2, "ipc"] });
  }

  list(group: Group): Promise<readonly string[]> {
    return this.#ask({ list: group }) as Promise<readonly string[]>;
  }

  async open(group: Group, name: string): Promise<void> {
    await this.#ask({ group, open: name });
  }

  /** Works on what is open for about that many milliseconds; gives those that one step, or one call, took. */
  turn(milliseconds: number, threads: number): Promise<number> {
    return this.#ask({ turn: milliseconds, threads }) as Promise<number>;
  }

  async stop(): Promise<void> {
    await this.#ask({ stop: true });
  }

  /** Ends the process. */
  end(): void {
    this.#child.kill();
  }

  async #ask(request: Request): Promise<unknown> {
    this.#child.send(request);
    const ended = new AbortController();
    const { signal } = ended;
    try {
      const [answer] = (await Promise.race([
        once(this.#child, "message", { signal }),
        once(this.#child, "exit", { signal }).then(([code, by]) => {
          throw new Error(`its process ended: ${by ?? `exit code ${code}`}`);
        }),
      ])) as [Answer];
      if ("error" in answer) throw new Error(answer.error);
      return answer.value;
    } finally {
      ended.abort();
    }
  }
}
