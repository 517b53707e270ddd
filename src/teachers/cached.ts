import type { Teacher } from "./teacher.js";
import type { TeacherCache } from "./teacher_cache.js";

/**
 * Logits that were computed before, by the index of each sample in the training data. Outside of the training data `inner`
 * gives the outputs; without it no agreement is reported.
 *
 * @example
 * ```ts
 * const teacher = cached(await TeacherCache.load("teacher_logits.safetensors"), live(network));
 * await distill({ teacher, student, data });
 * ```
 */
export function cached(cache: TeacherCache, inner?: Teacher): Teacher {
  return {
    name: "cached",
    fingerprint: () => cache.teacherHash,
    outputs: ({ indices }) => ({ logits: cache.batch(indices), taps: {} }),
    ...(inner?.evaluate && { evaluate: (batch) => (inner.evaluate as NonNullable<Teacher["evaluate"]>)(batch) }),
    ...(inner?.isFixed !== undefined && { isFixed: inner.isFixed }),
    close: () => inner?.close?.(),
  };
}
