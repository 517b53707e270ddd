import * as v from "valibot";
import { expectNumber, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { expected, type Weight } from "../registry/index.js";
import type { LossBatch } from "./loss.js";

/** A number, or one that moves evenly from epoch to epoch: from `from` in the first to `to` in the last. */
export type Annealed = Weight;

/** The value in the epoch that a batch belongs to: a function of the epoch alone, so that a resumed run has the same. */
export function inEpoch(value: Annealed, { epoch, epochs }: Pick<LossBatch, "epoch" | "epochs">): number {
  if (typeof value === "number") return value;
  const [from, to] = value;
  return epochs <= 1 ? to : from + ((to - from) * (epoch - 1)) / (epochs - 1);
}

/** Refuses anything but a positive number or two of them; `BAD_ARGUMENT` that names the argument. */
export function expectAnnealed(name: string, value: unknown): void {
  if (!Array.isArray(value)) {
    expectNumber(name, value, (x) => x > 0, "a number above 0, or two: [first epoch's, last epoch's]");
    return;
  }
  for (const one of value) expectNumber(name, one, (x) => x > 0, "two numbers above 0");
  if (value.length !== 2) {
    throw new DistilleryError("BAD_ARGUMENT", `${name}: expected two numbers, got ${value.length}: ${show(value)}`);
  }
}

/** The schema of an {@link Annealed} number above 0. */
export function annealed() {
  const message = expected("a number above 0, or two: [first epoch's, last epoch's]");
  const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
  return v.union([positive, v.tuple([positive, positive])], message);
}
