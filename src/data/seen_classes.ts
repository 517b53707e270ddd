import { badData } from "../files/index.js";
import { NO_LABEL } from "./dataset.js";

/** The number of classes of training labels: two or more, numbered from 0 on, each from `first` on with a sample. */
export function countClasses(labels: Int32Array, file: string, advice: string, first = 0): number {
  const highest = highestOf(labels);
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

/** That of all parts of data for a network that knows the classes: any of them will do. */
export function countKnown(parts: readonly ({ readonly labels: Int32Array } | null)[]): number {
  return Math.max(...parts.map((part) => (part === null ? 0 : highestOf(part.labels) + 1)));
}

function highestOf(labels: Int32Array): number {
  return labels.reduce((a, b) => Math.max(a, b));
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
