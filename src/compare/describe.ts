import type { Trial } from "./input.js";
import type { CompareResult } from "./result.js";

/** What a result says of its data. */
export function describeData({ problem, test }: Trial): CompareResult["data"] {
  const { data, validation } = problem;
  const { name, features, classes } = data;
  return { name, training: data.length, validation: validation.length, test: test.length, features, classes };
}

/** All that the numbers follow from: the options, the data and what is added. */
export function describeConfig(
  command: string,
  { problem, test, options, controls }: Trial,
  more: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const { data, validation } = problem;
  return {
    ...{ ...controls.about, command },
    ...options,
    // A course of one's own is told by its text.
    schedule: String(options.schedule),
    ...more,
    dataHash: data.fingerprint(),
    validationHash: validation.fingerprint(),
    testHash: test.fingerprint(),
  };
}
