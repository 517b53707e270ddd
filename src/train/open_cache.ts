import { DistilleryError } from "../errors.js";
import type { DistillInput } from "./distill.js";
import { TeacherCache } from "./teacher_cache.js";

/**
 * The teacher's answers where a run asks it once, computed now or given; null where it asks at each step. Where a cache
 * was asked for and is not exact, `BAD_ARGUMENT` with the reason.
 */
export async function openCache(input: DistillInput, teacherMode: "train" | "eval"): Promise<TeacherCache | null> {
  const { teacher, data, teacherCache, signal, onNote } = input;
  if (teacherCache === false) return null;
  const obstacle = obstacleTo(input, teacherMode);
  if (obstacle !== null && teacherCache === undefined) {
    // In train mode, as the script has it, that goes without saying.
    if (teacherMode === "eval") onNote?.(`teacher: asked at each step, because ${obstacle}`);
    return null;
  }
  if (obstacle !== null) throw new DistilleryError("BAD_ARGUMENT", `teacherCache: ${obstacle}`);
  if (teacherCache instanceof TeacherCache) {
    teacherCache.expectOf(teacher, data);
    return teacherCache;
  }
  const cache = await TeacherCache.compute(teacher, data, signal && { signal });
  onNote?.(`teacher: ${cache}`);
  return cache;
}

function obstacleTo({ teacher, student, data }: DistillInput, teacherMode: "train" | "eval"): string | null {
  if (teacherMode === "train") {
    return "a teacher in train mode answers differently at each step, by dropout and the batch's statistics: use eval mode";
  }
  const trained = new Set(student.parameters());
  if (teacher.parameters().some((parameter) => trained.has(parameter))) return "teacher and student share parameters";
  return TeacherCache.obstacle(teacher, data);
}
