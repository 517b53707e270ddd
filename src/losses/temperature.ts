import * as v from "valibot";
import { expectNumber } from "../checks.js";
import { expected, positive } from "../registry/index.js";

/** Beyond these, single precision has nothing left of the differences between logits, or of their gradients. */
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
