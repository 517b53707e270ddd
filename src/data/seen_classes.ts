import { badData } from "../files/index.js";
import { NO_LABEL } from "./dataset.js";

/**
 * The number of classes of training labels: two or more, numbered from 0 on, each from `first` on with a sample. If a network
 * knows the classes, any of them will do.
 */
export function countClasses(
  labels: Int32Array,
  file: string,
  advice: string,
  { isKnown = false, first = 0 }: { isKnown?: boolean; first?: number } = {},
): number {
  const highest = labels.reduce((a, b) => Math.max(a, b));
  if (isKnown) return highest + 1;
  const seen = new Set(labels);
  seen.delete(NO_LABEL);
  if (seen.size < 2) throw badData(file, `expected at least two classes, got ${seen.size === 0 ? "none" : "one"}`);
  for (let label = first; label < highest; label++) {
    if (seen.has(label)) continue;
    const place = `label ${labels.indexOf(highest)}: class ${highest}`;
    throw badData(file, `${place}, but class ${label} has no sample: ${advice}`);
  }
  return highest + 1;
}

/** Refuses a test label of a class that no training sample has: one that no model can have learnt. */
export function expectSeen(
  training: Int32Array,
  testing: Int32Array,
  file: string,
  locationOf = (at: number) => `label ${at}`,
): void {
  const seen = new Set<number>(training);
  const at = testing.findIndex((label) => !seen.has(label));
  if (at >= 0) throw badData(file, `${locationOf(at)}: class ${testing[at]} is not in the training set`);
}
