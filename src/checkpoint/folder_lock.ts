import { randomInt, randomUUID } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { DistilleryError } from "../errors.js";
import { errorCode, ioError, replaceFile } from "../files/index.js";
import { native } from "../native.js";

/** The file that the operating system locks. */
export const LOCK = "run.lock";
/** The file that names the process which owns the folder; hosts that do not see each other's locks read it. */
export const OWNER = "run.owner";

/** A lock on a folder. */
export interface FolderLock {
  /** Refuses to continue, `IN_USE`, if another host took the folder over. */
  expectHeld(): void;
  release(): void;
}

/** Timing of locks, in milliseconds. */
interface LockTimes {
  /** Between two heartbeats. */
  beat: number;
  /**
   * How long an owner on another host may miss heartbeats before it counts as dead: several beats, plus the time that
   * NFS caches.
   */
  silence: number;
  /** How long it takes until every host sees who took over. */
  settle: number;
}

const TIMES: LockTimes = { beat: 5000, silence: 30_000, settle: 2000 };

/** How {@link takeLock} takes one. */
export interface LockOptions {
  /** Shares the lock with others; no one is named as the owner. */
  shared?: boolean;
  onNote?: (text: string) => void;
  times?: LockTimes;
}

/** What identifies a process. */
interface Owner {
  host: string;
  /** Identifies the boot of the host: equal in all its containers, different after a restart. */
  boot: string;
  /** The PID namespace: every container counts its own process ids. */
  pids: string;
  pid: number;
  id: string;
}

/**
 * Locks a folder for one process at a time. The operating system's lock ends with the process. A file names the owner,
 * who updates its modification time every few seconds; it is what counts where the system's lock does not reach: on
 * another host, or in another container that mounts the folder. An owner on this host without the lock is dead. An
 * owner elsewhere that gives no heartbeat for half a minute counts as dead: it is named in a note and replaced.
 *
 * @throws DistilleryError `IN_USE` if another has it.
 */
export async function takeLock(path: string, options: LockOptions = {}): Promise<FolderLock> {
  const { shared = false, times = TIMES } = options;
  const file = join(path, OWNER);
  const lock = native.lockFile(join(path, LOCK), shared);
  if (lock === null) throw inUse(path, readFresh(file));
  try {
    const text = `${JSON.stringify({ ...HERE, host: hostname(), pid: process.pid, id: randomUUID() } satisfies Owner)}\n`;
    await expectNoOther(path, text, lock.isHeld, options);
    if (shared) return { expectHeld() {}, release: () => lock.release() };
    const heart = native.keepFresh(file, text, times.beat);
    return {
      expectHeld() {
        if (heart.isLost) throw lost(path, readFresh(file));
      },
      release() {
        heart.stop();
        try {
          if (readFresh(file)?.text === text) rmSync(file, { force: true });
        } catch {
          // The disk accepts no more changes. The file that remains names a process without a lock, and the next
          // process replaces it.
        }
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Refuses a folder that a process on this host owns (`IN_USE`); changes nothing. */
export function expectUnlocked(path: string): void {
  const lock = native.lockFile(join(path, LOCK));
  if (lock === null) throw inUse(path, readFresh(join(path, OWNER)));
  lock.release();
}

/**
 * A heartbeat of the process that owns a folder: its time by that host's clock, and by this process's clock when it was
 * seen.
 */
export interface LifeSign {
  readonly modified: number;
  readonly at: number;
}

/**
 * The last heartbeat of the process that owns a folder; null if no process owns it any more. `before` is the one seen
 * earlier. It takes no lock, so that a run that starts meanwhile is not refused. Clocks of hosts may differ: they are
 * compared only the first time.
 */
export function lifeSign(path: string, before: LifeSign | null): LifeSign | null {
  const found = readFresh(join(path, OWNER));
  const owner = ownerOf(found?.text ?? "");
  if (found === null || (owner !== null && isHere(owner) && !isAlive(owner.pid))) return null;
  const { modified } = found;
  if (modified === before?.modified) return before;
  const age = before === null ? Math.max(0, Date.now() - modified) : 0;
  return { modified, at: performance.now() - age };
}

/** Whether a heartbeat is recent. */
export function isRecent(sign: LifeSign | null): boolean {
  return sign !== null && performance.now() - sign.at <= TIMES.silence;
}

/** Writes the owner's file. If the lock is shared, only waits until no other owner is named. */
async function expectNoOther(path: string, text: string, isHeld: boolean, options: LockOptions): Promise<void> {
  const { shared = false, onNote = () => {}, times = TIMES } = options;
  const file = join(path, OWNER);
  while (shared || !create(file, text)) {
    const other = readFresh(file);
    if (other === null) {
      if (shared) return;
      continue;
    }
    const owner = ownerOf(other.text);
    if (owner !== null && isHere(owner) && (isHeld || !isAlive(owner.pid))) {
      replace(file, text, shared);
      return;
    }
    const seconds = times.silence / 1000;
    onNote(`${path}: ${nameOf(other)} has it: taken over if that gives no sign of life for ${seconds} s`);
    if (!(await isSilent(file, times.silence))) throw inUse(path, readFresh(file));
    replace(file, text, shared);
    if (shared) return;
    // If several processes replace it, the last one owns the folder.
    await setTimeout(times.settle);
    if (readFresh(file)?.text !== text) throw inUse(path, readFresh(file));
    onNote(`${path}: ${nameOf(other)} gave no sign of life for ${seconds} s: taken over`);
    return;
  }
}

/** Whether a file stays unchanged for a time. */
async function isSilent(file: string, milliseconds: number): Promise<boolean> {
  const before = readFresh(file);
  for (const start = performance.now(); performance.now() - start < milliseconds; ) {
    await setTimeout(Math.min(1000, milliseconds / 10));
    const now = readFresh(file);
    if (now?.text !== before?.text || now?.modified !== before?.modified) return false;
  }
  return true;
}

/**
 * A file's content and modification time as its server has them, since opening a file bypasses NFS's cache; null if it
 * is missing. Does not wait for the writer of a pipe.
 */
export function readFresh(file: string): { text: string; modified: number } | null {
  try {
    const handle = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      return { modified: fstatSync(handle).mtimeMs, text: readFileSync(handle, "utf8") };
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw ioError("read", file, error);
  }
}

/** Creates a file that does not exist; returns whether this process created it, of several that try. */
function create(file: string, text: string): boolean {
  try {
    writeFileSync(file, text, { flag: "wx" });
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    // A full disk stores the name without the content, and nobody would know whose file it is.
    if ((error as NodeJS.ErrnoException).syscall !== "open") rmSync(file, { force: true });
    throw ioError("write", file, error);
  }
}

/** Makes this process the owner in place of a dead one. If the lock is shared, only removes the file. */
function replace(file: string, text: string, shared: boolean): void {
  const beside = `${file}.${randomInt(10 ** 8, 10 ** 9)}`;
  try {
    if (shared) {
      rmSync(file, { force: true });
      return;
    }
    writeFileSync(beside, text);
    replaceFile(beside, file);
  } catch (error) {
    throw ioError("write", file, error);
  }
}

function ownerOf(text: string): Owner | null {
  try {
    const { host, boot, pids, pid, id } = JSON.parse(text) as Owner;
    return { host: String(host), boot: String(boot), pids: String(pids), pid: Number(pid), id: String(id) };
  } catch {
    return null;
  }
}

function nameOf(found: { text: string } | null): string {
  const owner = ownerOf(found?.text ?? "");
  return owner === null ? "another process" : `process ${owner.pid} on ${owner.host}`;
}

/** Whether the owner is a process that this one could see and whose locks it shares. */
function isHere({ host, boot, pids }: Owner): boolean {
  return boot === HERE.boot && pids === HERE.pids && (boot !== "" || host === hostname());
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}

function inUse(path: string, found: { text: string } | null): DistilleryError {
  const who = ownerOf(found?.text ?? "") === null ? "" : ` (${nameOf(found)})`;
  const text = `${path}: another run is writing there${who}: wait for its end or choose another folder`;
  return new DistilleryError("IN_USE", text);
}

function lost(path: string, found: { text: string } | null): DistilleryError {
  const text = `${path}: taken over by ${nameOf(found)}, which saw no sign of life of this one: this run ends, that one goes on`;
  return new DistilleryError("IN_USE", text);
}

/** Identifies the boot of the host and this container's PID namespace; empty if the system does not say. */
const HERE = {
  boot: orEmpty(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()),
  pids: orEmpty(() => readlinkSync("/proc/self/ns/pid")),
};

function orEmpty(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}
