import { expectOneOf } from "../checks.js";
import { native } from "../native.js";

/** What the operands of a linear layer's products are rounded to; sums, and all else, are float32. */
export type Precision = "float32" | "bfloat16";

const PRECISIONS: readonly Precision[] = ["float32", "bfloat16"];

let current: Precision = "float32";

/** The precision of the products of linear layers that run now. */
export function currentPrecision(): Precision {
  return current;
}

/**
 * Runs `body`, a function that returns when it is done, with the products of its linear layers in a precision. Their backward pass
 * has it too, wherever it runs. `torch.autocast`, for linear layers alone: weights, all other operations and all sums are float32.
 *
 * @example
 * ```ts
 * const loss = withPrecision("bfloat16", () => crossEntropy(network.forward(inputs), labels));
 * loss.backward();
 * ```
 */
export function withPrecision<T>(precision: Precision, body: () => T): T {
  expectOneOf("precision", precision, PRECISIONS);
  const before = current;
  current = precision;
  try {
    return body();
  } finally {
    current = before;
  }
}

/**
 * What multiplies in bfloat16 on this processor: "AVX512-BF16", or "float32 arithmetic" on rounded operands, which is slower than
 * float32.
 *
 * @example
 * ```ts
 * bfloat16Unit(); // "AVX512-BF16"
 * ```
 */
export function bfloat16Unit(): string {
  return native.bfloat16Unit();
}
