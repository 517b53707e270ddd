import { argumentError, badArgument } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import type { WorkProgress } from "../log/progress_line.js";
import type { Module } from "../nn/module.js";
import type { Precision } from "../tensor/precision.js";
import { cached } from "./cached.js";
import { frozen } from "./frozen.js";
import { live, type NetworkTeacherOptions } from "./live.js";
import { notCached } from "./logits_in_order.js";
import type { Teacher } from "./teacher.js";
import { TeacherCache } from "./teacher_cache.js";

/** What determines how a network is used as a teacher. */
interface TeacherUse extends NetworkTeacherOptions {
  student: Module;
  data: Dataset;
  /** Whether logits are cached, or the cache; undefined: if that is exact. */
  teacherCache?: boolean | TeacherCache | undefined;
  precision: Precision;
  signal?: AbortSignal;
  onWork?: (progress: WorkProgress) => void;
  onNote?: (text: string) => void;
}

/**
 * A network as the fastest kind of teacher that is exact: cached, frozen or, if it shares parameters with the student,
 * live.
 *
 * @throws DistilleryError `BAD_ARGUMENT` with the reason if a cache was requested and is not exact, `ABORTED` by the
 * signal.
 */
export async function chooseTeacher(teacher: Module, use: TeacherUse): Promise<Teacher> {
  const { student, mode, taps } = use;
  const cache = await openCache(teacher, use);
  if (cache !== null) return cached(cache, live(teacher, { mode, taps }));
  return (sharesParameters(teacher, student) ? live : frozen)(teacher, { mode, taps });
}

/** Refuses what does not say whether logits are cached. */
export function expectCache(value: unknown): asserts value is boolean | TeacherCache | undefined {
  if (value === undefined || typeof value === "boolean" || value instanceof TeacherCache) return;
  throw badArgument("teacherCache", "true, false or a TeacherCache", value);
}

/**
 * The cache of a teacher's logits that a run uses; null if it uses none. The errors are those of {@link chooseTeacher}.
 */
export async function openCache(teacher: Module, use: TeacherUse): Promise<TeacherCache | null> {
  const { data, teacherCache, mode = "eval", precision, signal, onWork, onNote } = use;
  if (teacherCache === false) return null;
  const reason = whyNotCacheable(teacher, use);
  if (reason !== null && teacherCache === undefined) {
    // In train mode, as in the reference script, this is expected.
    if (mode === "eval") onNote?.(notCached(reason));
    return null;
  }
  expectCacheable(teacher, use);
  if (teacherCache instanceof TeacherCache) {
    teacherCache.expectOf(teacher, data, precision);
    return teacherCache;
  }
  const cache = await TeacherCache.compute(teacher, data, { precision, signal, onWork });
  onNote?.(`teacher: ${cache}`);
  return cache;
}

/** Refuses a cache that is requested and not exact. `BAD_ARGUMENT`. */
export function expectCacheable(teacher: Module, use: TeacherUse): void {
  if (use.teacherCache === undefined || use.teacherCache === false) return;
  const reason = whyNotCacheable(teacher, use);
  if (reason !== null) throw argumentError("teacherCache", reason);
}

function whyNotCacheable(
  teacher: Module,
  { student, data, mode = "eval", taps = [], precision }: TeacherUse,
): string | null {
  if (mode === "train") {
    return "a teacher in train mode gives other logits at each step, by dropout and the batch's statistics: use eval mode";
  }
  if (taps.length > 0) return "the loss reads hidden outputs of the teacher";
  if (sharesParameters(teacher, student)) return "teacher and student share parameters";
  return TeacherCache.whyNotCacheable(teacher, data, precision);
}

function sharesParameters(teacher: Module, student: Module): boolean {
  const trained = new Set(student.parameters());
  return teacher.parameters().some((parameter) => trained.has(parameter));
}
