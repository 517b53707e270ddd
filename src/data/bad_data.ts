import { DistilleryError } from "../errors.js";

/** The error of a data file that is damaged, foreign or does not fit the others. */
export function badData(file: string, problem: string, cause?: unknown): DistilleryError {
  return new DistilleryError("BAD_DATA", `${file}: ${problem}`, cause === undefined ? {} : { cause });
}
