import type { Case } from "./cases/case.js";
import type { BothSteps } from "./whole_step.js";

/** The losses of both implementations on the same step. */
export interface LossPair {
  readonly kernels: number;
  readonly plain: number;
}

/** How far losses, and a kernel's values against the largest of them, may lie apart. */
export const TOLERANCE = 1e-4;

/** Takes `count` steps by both; throws where a loss lies further apart than {@link TOLERANCE}. */
export function compareLosses(steps: BothSteps, count: number): LossPair[] {
  return Array.from({ length: count }, (_, i) => {
    const pair = { kernels: steps.kernels(), plain: steps.plain() };
    if (Math.abs(pair.kernels - pair.plain) <= TOLERANCE) return pair;
    throw new Error(
      `step ${i + 1}: expected the same loss, got ${pair.kernels} by the kernels and ${pair.plain} by plain`,
    );
  });
}

/** Runs both sides of a case once; throws where what they wrote differs. */
export function compareResults({ name, kernel, plain, results: [ours, theirs] }: Case): void {
  kernel();
  plain();
  const scale = ours.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
  const at = ours.findIndex((x, i) => !(Math.abs(x - theirs[i]) <= TOLERANCE * scale));
  if (at < 0 && scale > 0) return;
  throw new Error(
    `${name}: expected the same values, got ${ours[at]} by the kernel and ${theirs[at]} by plain at ${at}`,
  );
}
