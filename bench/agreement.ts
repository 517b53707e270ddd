import type { Case } from "./cases/case.js";

/** How far losses, and a kernel's values against the largest of them, may differ. */
export const TOLERANCE = 1e-4;

/** Throws if the losses of the same steps differ by more than `tolerance`; compares as many as `theirs` has. */
export function compareLosses(
  what: string,
  ours: readonly number[],
  theirs: readonly number[],
  tolerance = TOLERANCE,
): void {
  theirs.forEach((loss, i) => {
    if (Math.abs(loss - (ours[i] ?? Number.NaN)) <= tolerance) return;
    throw new Error(`${what}, step ${i + 1}: expected the same loss, got ${ours[i]} by the library and ${loss}`);
  });
}

/** Runs both sides of a case once; throws if their results differ. */
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
