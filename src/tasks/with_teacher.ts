import type { DistillationLoss } from "../losses/loss.js";
import { weightedSum } from "../losses/weighted_sum.js";

/**
 * What a student learns with by default: `alpha` of what comes from the teacher, the rest of what comes from the data.
 * A part without weight is left out, so that it is not computed.
 */
export function withTeacher(
  alpha: number,
  hard: readonly DistillationLoss[],
  soft: DistillationLoss,
): DistillationLoss {
  const parts = [...hard.map((loss) => [1 - alpha, loss] as const), [alpha, soft] as const];
  return weightedSum(parts.filter(([weight]) => weight > 0));
}
