import * as v from "valibot";
import { badArgument, expectNumber } from "../checks.js";
import { described, expected, positive, type Weight } from "../registry/index.js";
import type { LossBatch } from "./loss.js";

/** Beyond these, single precision keeps nothing of the differences between logits, or of their gradients. */
const [LEAST, MOST] = [1e-3, 1e6];
const RANGE = `a temperature from ${LEAST} to ${MOST}`;

/** The schema of a temperature that divides logits. */
export function temperature() {
  const message = expected(RANGE);
  return v.pipe(positive(), v.minValue(LEAST, message), v.maxValue(MOST, message));
}

/** Refuses what {@link temperature} does not take; `BAD_ARGUMENT` that names the argument. */
export function expectTemperature(name: string, value: unknown, what = "a number above 0"): number {
  const number = expectNumber(name, value, (x) => x > 0, what);
  return expectNumber(name, number, (x) => x >= LEAST && x <= MOST, RANGE);
}

/** A number, or one that changes linearly with the epochs: from `from` in the first to `to` in the last. */
export type Annealed = Weight;

/** The value in a batch's epoch: it depends only on the epoch, so that a resumed run has the same. */
export function inEpoch(value: Annealed, { epoch, epochs }: Pick<LossBatch, "epoch" | "epochs">): number {
  if (typeof value === "number") return value;
  const [from, to] = value;
  return epochs <= 1 ? to : from + ((to - from) * (epoch - 1)) / (epochs - 1);
}

const ONE_OR_TWO = "a number above 0, or two: [first epoch's, last epoch's]";

/** Refuses anything but a temperature or two of them; `BAD_ARGUMENT` that names the argument. */
export function expectAnnealed(name: string, value: unknown): void {
  if (!Array.isArray(value)) {
    expectTemperature(name, value, ONE_OR_TWO);
    return;
  }
  for (const one of value) expectTemperature(name, one, "two numbers above 0");
  if (value.length !== 2) {
    throw badArgument(name, "two numbers", value);
  }
}

/** The schema of an {@link Annealed} temperature. */
export function annealed() {
  return v.union([temperature(), v.strictTuple([temperature(), temperature()])], expected(ONE_OR_TWO));
}

/** The option of a temperature of both networks' logits. */
export function temperatureOption(usual: Annealed) {
  return described(v.optional(annealed(), usual), "divides both networks' logits");
}
