import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import * as v from "valibot";
import { readFresh } from "../checkpoint/index.js";
import { DistilleryError, type ErrorCode } from "../errors.js";
import { writeWhole } from "../files/index.js";
import { native } from "../native.js";

/** The file that says how far share 0 is with the teacher. */
export const TEACHER_STATE = "teacher.json";

const BEAT_MS = 5000;
/** Without a sign of life for so long share 0 counts as gone: several beats, and what NFS caches. */
const SILENCE_MS = 30_000;
/** How long a failure from before counts for nothing: share 0 may be about to be started again. */
const GRACE_MS = 60_000;
const POLL_MS = 500;

const readySchema = v.strictObject({
  /** The teacher's weights, below the experiment's folder; null if it is no network of Distillery's. */
  file: v.nullable(v.string()),
  /** Of the weights, or of what else tells the teacher; null if nothing does. */
  hash: v.nullable(v.string()),
  /** Whether its logits are there too. */
  hasLogits: v.boolean(),
});
/** A teacher that is made, as the other shares find it. */
export type ReadyTeacher = v.InferOutput<typeof readySchema>;

const stateSchema = v.strictObject({
  state: v.picklist(["training", "stopped", "failed", "ready"]),
  host: v.string(),
  pid: v.number(),
  time: v.string(),
  seed: v.number(),
  epochs: v.number(),
  error: v.optional(v.strictObject({ code: v.string(), message: v.string() })),
  teacher: v.optional(readySchema),
});
type TeacherState = v.InferOutput<typeof stateSchema>;

/** Which teacher it is, and where: one of another seed or length, from before, does not count. */
interface TeacherPlace {
  out: string;
  seed: number;
  epochs: number;
}

/** Makes the teacher, in share 0, and writes its state for the others: alive, stopped, failed or ready. */
export async function announced<T>(
  { out, seed, epochs }: TeacherPlace,
  make: () => Promise<T>,
  describe: (made: T) => ReadyTeacher,
): Promise<T> {
  const file = join(out, TEACHER_STATE);
  const write = async (state: Pick<TeacherState, "state" | "error" | "teacher">) => {
    const who = { host: hostname(), pid: process.pid, time: new Date().toISOString() };
    const text = `${JSON.stringify({ ...state, ...who, seed, epochs })}\n`;
    await writeWhole(file, text);
    return text;
  };
  const before = readFresh(file)?.text;
  const begun = await write({ state: "training" });
  const heart = native.keepFresh(file, begun, BEAT_MS);
  try {
    const made = await make();
    heart.stop();
    await write({ state: "ready", teacher: describe(made) });
    return made;
  } catch (error) {
    heart.stop();
    const { code, message } = error instanceof DistilleryError ? error : { code: "INTERNAL", message: String(error) };
    const state =
      code === "ABORTED" ? ({ state: "stopped" } as const) : ({ state: "failed", error: { code, message } } as const);
    // If another process trains it, its state is what the others are to see. A full disk has an error of its own.
    if (code !== "IN_USE") await write(state).catch(() => {});
    else if (before !== undefined && readFresh(file)?.text === begun) await writeWhole(file, before).catch(() => {});
    throw error;
  }
}

/**
 * Waits, in another share, until share 0 has made the teacher, and says what for.
 *
 * @throws DistilleryError that of share 0 if it failed; `ABORTED` by the signal.
 */
export async function readyTeacher(
  { out, seed, epochs }: TeacherPlace,
  { who, signal, onNote }: { who: string; signal: AbortSignal; onNote: (text: string) => void },
): Promise<ReadyTeacher> {
  const file = join(out, TEACHER_STATE);
  const first = readFresh(file)?.text;
  const start = performance.now();
  let sign = { modified: -1, at: start };
  let said = "";
  for (;;) {
    if (signal.aborted) throw new DistilleryError("ABORTED", "stopped while it waited for the teacher");
    const found = readFresh(file);
    const parsed = found === null ? null : stateOf(found.text);
    const state = parsed?.seed === seed && parsed.epochs === epochs ? parsed : null;
    if (state?.teacher !== undefined) return state.teacher;
    const now = performance.now();
    if (found !== null && found.modified !== sign.modified) sign = { modified: found.modified, at: now };
    if (state?.error !== undefined && (found?.text !== first || now - start > GRACE_MS)) {
      const { code, message } = state.error;
      throw new DistilleryError(code as ErrorCode, `share 0 failed to make the teacher: ${message}`);
    }
    const line = `${who} waits for the teacher: ${reasonOf(state, now - sign.at > SILENCE_MS)}`;
    if (line !== said) onNote(line);
    said = line;
    await setTimeout(POLL_MS, undefined, { signal }).catch(() => {});
  }
}

/** The hash of the teacher that share 0 made in a folder; null if there is none. */
export function readyHash(out: string): string | null {
  const found = readFresh(join(out, TEACHER_STATE));
  return (found && stateOf(found.text)?.teacher?.hash) ?? null;
}

function stateOf(text: string): TeacherState | null {
  try {
    return v.parse(stateSchema, JSON.parse(text));
  } catch {
    return null;
  }
}

function reasonOf(state: TeacherState | null, isSilent: boolean): string {
  if (state === null) return "share 0 has not begun it";
  const { host, pid, error } = state;
  if (state.state === "stopped") return "share 0 was stopped and goes on once it is started again";
  if (error !== undefined)
    return `share 0 failed before; this one ends in ${GRACE_MS / 1000} s unless share 0 is started again`;
  const process = `process ${pid} on ${host}`;
  return isSilent ? `share 0 (${process}) gives no sign of life: start it again` : `share 0 makes it (${process})`;
}
