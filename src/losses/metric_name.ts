import { argumentError } from "../checks.js";

const PATTERN = /^[\w.+/-]+$/;
/** Names that a run's records already have, besides the metrics of its validation. */
const RESERVED: readonly string[] = ["epoch", "epochs", "lr", "seconds", "samplesPerSecond", "loss", "agreement"];
const OF_VALIDATION = /^validation[A-Z]/;

/** Refuses a name that is not available to a metric of a loss; `BAD_ARGUMENT`. */
export function expectMetricName(argument: string, name: string): void {
  if (isMetricName(name)) return;
  if (name in Object.prototype) {
    throw argumentError(argument, `expected a name that JavaScript's objects do not have; got "${name}"`);
  }
  const text = `expected letters, digits and _ . + / -, and none of ${RESERVED.join(", ")} and validationLoss, validationAccuracy, ...`;
  throw argumentError(argument, `${text}; got "${name}"`);
}

/** Whether a metric of a loss can have the name. */
export function isMetricName(name: string): boolean {
  const isTaken = RESERVED.includes(name) || OF_VALIDATION.test(name) || name in Object.prototype;
  return PATTERN.test(name) && !isTaken;
}
