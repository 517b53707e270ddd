import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, sep } from "node:path";
import { ROOT } from "../library.js";
import { NoOptions } from "../options.js";

/** Another commit of this repository, built, with the benchmark of this checkout. */
interface Checkout {
  readonly folder: string;
  /** Short. */
  readonly commit: string;
}

/** Where checkouts are made, and what cargo builds for them is kept. */
const HOME = join(ROOT, "target", "against");

/** The short hash of a commit. */
export function commitOf(ref: string): string {
  try {
    return git("rev-parse", "--verify", "--quiet", "--short", "--end-of-options", `${ref}^{commit}`);
  } catch {
    const expected = "expected a commit, a branch or a tag of this repository";
    throw new NoOptions(`--against: ${expected}, got ${JSON.stringify(ref)}`, 2);
  }
}

/** Runs `body` with a commit's checkout, which is removed afterwards: also if the process is interrupted. */
export async function withCheckout<T>(ref: string, body: (checkout: Checkout) => Promise<T>): Promise<T> {
  const commit = commitOf(ref);
  const folder = join(HOME, commit);
  const unlock = lock(HOME);
  const build = new Build(folder);
  const interrupted = (signal: NodeJS.Signals) => {
    build.end();
    removeCheckout(folder);
    unlock();
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  try {
    // What a process that was killed left behind.
    removeCheckout(folder);
    git("worktree", "add", "--quiet", "--detach", folder, commit);
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"), "junction");
    console.error(`preparing: ${commit}, its native addon and its TypeScript`);
    for (const script of ["build:native", "build:ts"]) await build.run(script);
    cpSync(join(ROOT, "dist-bench"), join(folder, "dist-bench"), { recursive: true });
    return await body({ folder, commit });
  } finally {
    process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
    removeCheckout(folder);
    unlock();
  }
}

/**
 * Takes a folder for this process and gives what releases it. Two comparisons at once would build into the same files,
 * and each would measure the other's load.
 */
export function lock(folder: string): () => void {
  const file = join(folder, "lock");
  mkdirSync(folder, { recursive: true });
  try {
    writeFileSync(file, `${process.pid}`, { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const owner = Number(readFileSync(file, "utf8"));
    if (isAlive(owner)) throw new Error(`--against: process ${owner} measures already: wait for its end`);
    // One that was killed.
    rmSync(file);
    return lock(folder);
  }
  return () => rmSync(file, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Runs the package's scripts in a folder, one at a time. */
class Build {
  #child: ChildProcess | null = null;

  constructor(private readonly folder: string) {}

  async run(script: string): Promise<void> {
    // A target folder for all checkouts: what they depend on is built once. A process group of its own, to be ended
    // whole.
    const env = { ...process.env, CARGO_TARGET_DIR: join(HOME, "cargo") };
    const child = spawn("npm", ["run", "--silent", script], {
      cwd: this.folder,
      env,
      stdio: ["ignore", 2, 2],
      detached: process.platform !== "win32",
    });
    this.#child = child;
    const [code] = await once(child, "exit");
    this.#child = null;
    if (code !== 0) throw new Error(`--against: \`npm run ${script}\` of ${this.folder} failed: see above`);
  }

  end(): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    if (process.platform === "win32") this.#child?.kill();
    else process.kill(-pid, "SIGKILL");
  }
}

/** Removes a checkout and what its repository keeps about it, and nothing about those of others, as a prune would. */
export function removeCheckout(folder: string, repository = ROOT): void {
  rmSync(folder, { recursive: true, force: true });
  const known = gitIn(repository, "worktree", "list", "--porcelain").split("\n");
  // Twice forced: git locks one while it makes it.
  if (known.includes(`worktree ${slashed(folder)}`)) {
    gitIn(repository, "worktree", "remove", "--force", "--force", folder);
  }
}

/** A path as git writes it. */
function slashed(path: string): string {
  return path.replaceAll(sep, "/");
}

function git(...args: string[]): string {
  return gitIn(ROOT, ...args);
}

function gitIn(repository: string, ...args: string[]): string {
  return execFileSync("git", args, { cwd: repository, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
}
