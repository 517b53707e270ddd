import { badArgument, expectOneOf, expectSync } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";

/**
 * The precision to which the operands of the products of linear layers, attention and convolutions are rounded; sums
 * and everything else are float32.
 */
export type Precision = "float32" | "bfloat16";

export const PRECISIONS: readonly Precision[] = ["float32", "bfloat16"];

let current: Precision = "float32";

/** The current precision of the products of linear layers, attention and convolutions. */
export function currentPrecision(): Precision {
  return current;
}

/**
 * Runs `body` with the products of its linear layers, attention and convolutions in a precision. Their backward pass
 * uses it too, wherever it runs. Like `torch.autocast`, but only for these: weights, depthwise convolutions, all other
 * operations and all sums are float32.
 *
 * @throws DistilleryError `BAD_ARGUMENT` if the body is not a function, or is an `async` one, which would continue in
 * the previous precision.
 * @example
 * ```ts
 * const loss = withPrecision("bfloat16", () => crossEntropy(network.forward(inputs), labels));
 * loss.backward();
 * ```
 */
export function withPrecision<T>(precision: Precision, body: () => T): T {
  expectOneOf("precision", precision, PRECISIONS);
  if (typeof body !== "function") throw badArgument("body", "a function", body);
  return expectSync("withPrecision", inPrecision(precision, body));
}

/** Refuses outputs that were computed in another precision than a run's. */
export function expectPrecision(outputs: string, own: Precision, run: Precision): void {
  if (own === run) return;
  throw new DistilleryError(
    "BAD_ARGUMENT",
    `${outputs}: was computed in ${own}, the run is in ${run}: compute it again`,
  );
}

/** {@link withPrecision} for an `async` body too, of which it is for what comes before the first `await`. */
export function inPrecision<T>(precision: Precision, body: () => T): T {
  const before = current;
  current = precision;
  try {
    return body();
  } finally {
    current = before;
  }
}

/**
 * What multiplies in bfloat16 on this processor: "AMX-BF16", "AVX512-BF16", or "float32 arithmetic" on rounded
 * operands, which is slower than float32.
 *
 * @example
 * ```ts
 * bfloat16Unit(); // such as "AVX512-BF16"
 * ```
 */
export function bfloat16Unit(): string {
  return native.bfloat16Unit();
}
