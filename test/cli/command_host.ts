import { type ChildProcess, fork } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const HOST = fileURLToPath(new URL("host.mjs", import.meta.url));

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The environment of a command's process. */
export function commandEnvironment(): NodeJS.ProcessEnv {
  const { NO_COLOR: _, ...env } = process.env;
  return env;
}

/** A process that runs command lines one after another (`host.mjs`). Most take less time than to start Node.js and load the library. */
class CommandHost {
  readonly #environment = JSON.stringify(commandEnvironment());
  readonly #process: ChildProcess;
  /** When the files that it may have imported were last changed, by path: it would not read them again. */
  readonly #modules = new Map<string, number>();
  isBusy = false;

  constructor() {
    this.#process = fork(HOST, [], {
      execArgv: [],
      env: commandEnvironment(),
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    this.#hold(false);
  }

  /** Whether a command runs in it as in a new process: not once the environment or a module in its folder has changed. */
  suits(cwd: string): boolean {
    if (!this.#process.connected || this.#environment !== JSON.stringify(commandEnvironment())) return false;
    return modulesIn(cwd).every(([file, changed]) => (this.#modules.get(file) ?? changed) === changed);
  }

  async run(args: readonly string[], cwd: string): Promise<Answer> {
    for (const [file, changed] of modulesIn(cwd)) this.#modules.set(file, changed);
    this.#hold(true);
    try {
      return await new Promise((resolve, reject) => {
        this.#process.once("message", resolve);
        this.#process.once("close", (code, signal) => reject(new Error(`the host ended: ${code ?? signal}`)));
        this.#process.send({ argv: [process.execPath, MAIN, ...args], cwd });
      });
    } finally {
      this.#process.removeAllListeners("message").removeAllListeners("close");
      this.#hold(false);
    }
  }

  end(): void {
    if (this.#process.connected) this.#process.disconnect();
  }

  /** While nothing runs in it, it keeps no test's process from ending. */
  #hold(isBusy: boolean): void {
    this.isBusy = isBusy;
    for (const handle of [this.#process, this.#process.channel]) {
      if (isBusy) handle?.ref();
      else handle?.unref();
    }
  }
}

let host: CommandHost | null = null;

/** The process of this one's commands; null while one runs there: another needs a process of its own. */
export function freeHost(cwd: string): CommandHost | null {
  if (host?.isBusy) return null;
  if (!host?.suits(cwd)) {
    host?.end();
    host = new CommandHost();
  }
  return host;
}

/** The modules of the user's own in a folder, with the time of their last change. */
function modulesIn(folder: string): [string, number][] {
  const names = readdirSync(folder).filter((name) => /\.[cm]?js$/.test(name));
  return names.map((name) => [join(folder, name), statSync(join(folder, name)).mtimeMs]);
}
