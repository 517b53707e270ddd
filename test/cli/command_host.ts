import { type ChildProcess, fork } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const HOST = fileURLToPath(new URL("host.mjs", import.meta.url));

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What a process of the command's own would not have done. */
  readonly failure?: string;
  /** The process ends with it. */
  readonly ends?: true;
}

/** The environment of a command's process. */
export function commandEnvironment(): NodeJS.ProcessEnv {
  const { NO_COLOR: _, ...env } = process.env;
  return env;
}

/**
 * A process that runs command lines one after another (`host.mjs`). Most take less time than to start Node.js and load
 * the library.
 */
class CommandHost {
  readonly #environment = JSON.stringify(commandEnvironment());
  readonly #process: ChildProcess;
  /** When the files that it may have imported were last changed, by path: it would not read them again. */
  readonly #modules = new Map<string, number>();
  isBusy = false;
  #asked: { resolve(answer: Answer): void; reject(error: Error): void } | null = null;
  /** What came when nothing had been asked. */
  #late: string | null = null;
  hasEnded = false;

  constructor() {
    this.#process = fork(HOST, [], {
      execArgv: [],
      env: commandEnvironment(),
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    this.#process.on("message", (answer: Answer) => this.#tell(answer));
    this.#process.on("close", (code, signal) => {
      const text = `the host ended: ${code ?? signal}`;
      if (this.#asked !== null) this.#asked.reject(new Error(text));
      else if (!this.hasEnded) this.#late ??= text;
      this.hasEnded = true;
    });
    this.#hold(false);
  }

  /**
   * Whether a command runs in it as in a new process: not once the environment has changed, or a module in its folder
   * or in that of one which it names. One that failed after the answer takes the next command, to tell it.
   */
  suits(args: readonly string[], cwd: string): boolean {
    if (this.#late !== null) return true;
    if (this.hasEnded || this.#environment !== JSON.stringify(commandEnvironment())) return false;
    return modulesOf(args, cwd).every(([file, changed]) => (this.#modules.get(file) ?? changed) === changed);
  }

  async run(args: readonly string[], cwd: string): Promise<Answer> {
    for (const [file, changed] of modulesOf(args, cwd)) this.#modules.set(file, changed);
    this.#hold(true);
    try {
      if (this.#late !== null) throw new Error(`after the command before: ${this.#late}`);
      const { code, stdout, stderr, failure } = await new Promise<Answer>((resolve, reject) => {
        this.#asked = { resolve, reject };
        this.#process.send({ argv: [process.execPath, MAIN, ...args], cwd });
      });
      if (failure !== undefined) throw new Error(`${failure}\n${stdout}${stderr}`);
      return { code, stdout, stderr };
    } catch (error) {
      this.#late = null;
      this.end();
      throw error;
    } finally {
      this.#asked = null;
      this.#hold(false);
    }
  }

  #tell(answer: Answer): void {
    if (this.#asked !== null) this.#asked.resolve(answer);
    else if (!this.hasEnded) this.#late ??= answer.stderr;
    if (answer.ends) this.hasEnded = true;
  }

  end(): void {
    this.hasEnded = true;
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
export function freeHost(args: readonly string[], cwd: string): CommandHost | null {
  if (host?.isBusy) return null;
  if (!host?.suits(args, cwd)) {
    host?.end();
    host = new CommandHost();
  }
  return host;
}

/** The modules of the user's own that a command may import. */
function modulesOf(args: readonly string[], cwd: string): [string, number][] {
  const named = args.flatMap((arg) => arg.match(/[^\s=,+*(]+\.[cm]?[jt]s(?![\w.])/g) ?? []);
  const folders = new Set([cwd, ...named.map((file) => dirname(resolve(cwd, file)))]);
  return [...folders].filter((folder) => existsSync(folder)).flatMap(modulesIn);
}

/** The modules of the user's own in a folder and below it, with the time of their last change. */
function modulesIn(folder: string): [string, number][] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : modulesIn(path);
    return /\.[cm]?[jt]s$/.test(entry.name) ? [[path, statSync(path).mtimeMs]] : [];
  });
}
