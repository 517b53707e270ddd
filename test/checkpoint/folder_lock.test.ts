import { existsSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type LockOptions, takeLock } from "../../src/checkpoint/folder_lock.js";
import { DistilleryError } from "../../src/errors.js";
import { native } from "../../src/native.js";
import { failure, temporaryFolder } from "../support.js";

const temporary = temporaryFolder();
const times = { beat: 20, silence: 200, settle: 50 };
/** For owners that are alive: this process may be held up for longer than a silence. */
const patient = { ...times, silence: 3000 };
const WAIT = { timeout: 60_000, interval: 10 };
const onNote = vi.fn();
let count = 0;
let beating: NodeJS.Timeout | undefined;
afterEach(() => {
  clearInterval(beating);
  vi.restoreAllMocks();
  onNote.mockReset();
});

function newFolder(): string {
  const path = join(temporary, `lock-${count++}`);
  mkdirSync(path);
  return path;
}

const take = (path: string, more: LockOptions = {}) => takeLock(path, { times, onNote, ...more });
const ownerOf = (path: string) => JSON.parse(readFileSync(join(path, "run.owner"), "utf8")) as object;

/** A folder that a process on another host has, which lives as long as `beats`. */
function ofAnotherHost({ beats = false } = {}): string {
  const path = newFolder();
  const file = join(path, "run.owner");
  writeFileSync(file, `${JSON.stringify({ host: "node7", boot: "another", pid: 12, id: "x" })}\n`);
  if (beats) beating = setInterval(() => utimesSync(file, new Date(), new Date()), times.beat);
  return path;
}

/** A file system without locks, as NFS may be mounted. */
const withoutLocks = () => vi.spyOn(native, "lockFile").mockReturnValue({ isHeld: false, release() {} } as never);

describe("a folder", () => {
  test("is one process's, which is named, and free afterwards", async () => {
    const path = newFolder();
    const lock = await take(path);
    expect(ownerOf(path)).toMatchObject({ pid: process.pid });
    const { message } = await failure(take(path), "IN_USE");
    expect(message).toContain(`another run is writing there (process ${process.pid} on `);
    await failure(take(path, { shared: true }), "IN_USE");
    lock.release();
    expect(existsSync(join(path, "run.owner"))).toBe(false);
    (await take(path)).release();
    expect(onNote).not.toHaveBeenCalled();
  });

  test("is shared by those who share it, and by nobody else", async () => {
    const path = newFolder();
    const locks = [await take(path, { shared: true }), await take(path, { shared: true })];
    await failure(take(path), "IN_USE");
    for (const lock of locks) lock.release();
    (await take(path)).release();
  });

  test("of a process of this host that was killed is free at once", async () => {
    const path = newFolder();
    const lock = await take(path);
    const left = readFileSync(join(path, "run.owner"));
    lock.release();
    writeFileSync(join(path, "run.owner"), left);
    (await take(path, { times: { ...times, silence: 1e6 } })).release();
    writeFileSync(join(path, "run.owner"), left);
    (await take(path, { shared: true, times: { ...times, silence: 1e6 } })).release();
    expect(onNote).not.toHaveBeenCalled();
  });

  test.each([false, true])("is another host's as long as that shows signs of life; shared: %s", async (shared) => {
    const path = ofAnotherHost({ beats: true });
    const { message } = await failure(take(path, { shared, times: patient }), "IN_USE");
    expect(message).toContain("another run is writing there (process 12 on node7)");
    expect(ownerOf(path)).toMatchObject({ host: "node7" });
  });

  test("is another container's of this host as long as that shows signs of life, where locks do not reach it", async () => {
    const path = newFolder();
    const file = join(path, "run.owner");
    const lock = await take(path);
    const owner = ownerOf(path);
    lock.release();
    // No process of this container has its number.
    writeFileSync(file, `${JSON.stringify({ ...owner, pids: "pid:[1]", pid: 2 ** 22 + 1 })}\n`);
    beating = setInterval(() => utimesSync(file, new Date(), new Date()), times.beat);
    await failure(take(path, { times: patient }), "IN_USE");
    expect(ownerOf(path)).toMatchObject({ pids: "pid:[1]" });
    clearInterval(beating);
    (await take(path)).release();
  });

  test("of a host that died is taken over, and both is said", async () => {
    const path = ofAnotherHost();
    const lock = await take(path);
    expect(onNote.mock.calls.flat()).toEqual([
      `${path}: process 12 on node7 has it: taken over if that gives no sign of life for 0.2 s`,
      `${path}: process 12 on node7 gave no sign of life for 0.2 s: taken over`,
    ]);
    expect(ownerOf(path)).toMatchObject({ pid: process.pid });
    lock.expectHeld();
    lock.release();
  });

  test("that was taken from a process which was only held up: that one writes no more", async () => {
    const path = newFolder();
    const lock = await take(path);
    writeFileSync(join(path, "run.owner"), readFileSync(join(ofAnotherHost(), "run.owner")));
    await vi.waitFor(() => expect(() => lock.expectHeld()).toThrow(DistilleryError), WAIT);
    expect(() => lock.expectHeld()).toThrow(`${path}: taken over by process 12 on node7`);
    lock.release();
    expect(ownerOf(path)).toMatchObject({ host: "node7" });
  });
});

test("signs of life go on once a file that another took is given back", async () => {
  const file = join(newFolder(), "teacher.json");
  writeFileSync(file, "first");
  const heart = native.keepFresh(file, "first", times.beat);
  try {
    writeFileSync(file, "second");
    await vi.waitFor(() => expect(heart.isLost).toBe(true), WAIT);
    writeFileSync(file, "first");
    utimesSync(file, 0, 0);
    await vi.waitFor(() => expect(statSync(file).mtimeMs).toBeGreaterThan(0), WAIT);
  } finally {
    heart.stop();
  }
});

describe("without the file system's locks", () => {
  test("the owner's file alone keeps a folder to one process", async () => {
    withoutLocks();
    const path = newFolder();
    const lock = await take(path);
    await failure(take(path), "IN_USE");
    lock.release();
    (await take(path)).release();
  });

  test("of four that take over at the same time one has it", async () => {
    withoutLocks();
    const path = ofAnotherHost();
    const all = await Promise.allSettled(Array.from({ length: 4 }, () => take(path)));
    const held = all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    expect(held).toHaveLength(1);
    held[0].expectHeld();
    held[0].release();
  });
});
