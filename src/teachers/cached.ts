import { createHash } from "node:crypto";
import { argumentError, badArgument } from "../checks.js";
import { currentPrecision } from "../tensor/precision.js";
import { forRun, ofRuns } from "./for_run.js";
import { isTeacher, type Teacher } from "./teacher.js";
import { TeacherCache } from "./teacher_cache.js";

/**
 * Logits that were computed before, by the index of each sample in the training data. For samples outside of the
 * training data `inner` computes the outputs; without it no agreement is reported. Refuses a run on other data than the
 * cache's, or in another precision.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no cache; in a run for other data or another precision.
 * @example
 * ```ts
 * const teacher = cached(await TeacherCache.load("teacher_logits.safetensors"), live(network));
 * await distill({ teacher, student, data });
 * ```
 */
export function cached(cache: TeacherCache, inner?: Teacher): Teacher {
  if (!(cache instanceof TeacherCache)) {
    throw badArgument("cache", "a TeacherCache, as TeacherCache.compute and .load give", cache);
  }
  if (inner !== undefined && !isTeacher(inner)) throw badArgument("inner", "a Teacher, as live(network)", inner);
  return ofRuns(() => cachedTeacher(cache, inner && forRun(inner)));
}

function cachedTeacher(cache: TeacherCache, inner: Teacher | undefined): Teacher {
  return {
    name: "cached",
    fingerprint: () => identityOf(cache),
    open({ data, taps, precision = currentPrecision() }) {
      if (taps.length > 0) {
        const text = `cached logits have no output of the module "${taps[0]}", which the loss reads`;
        throw argumentError("teacher", `${text}: give the network, or frozen(network)`);
      }
      cache.expectPrecision(precision);
      cache.expectData(data);
      inner?.open?.({ data, taps, precision });
    },
    outputs: ({ indices }) => ({ logits: cache.batch(indices), taps: {} }),
    evaluate: inner?.evaluate?.bind(inner),
    isFixed: inner?.isFixed,
    close: () => inner?.close?.(),
  };
}

/** The teacher's hash; in another precision than float32 that of both. */
function identityOf({ teacherHash, precision }: TeacherCache): string {
  if (precision === "float32") return teacherHash;
  return createHash("sha256").update(`${teacherHash} ${precision}`).digest("hex");
}
