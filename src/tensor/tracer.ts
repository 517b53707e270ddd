import type { AnyOp } from "./op.js";
import type { Tensor } from "./tensor.js";

/** Called with each operation after it was computed. */
type Tracer = (output: Tensor, inputs: readonly Tensor[], op: AnyOp, attributes: unknown) => void;

let current: Tracer | null = null;

/** Runs `body` and calls `tracer` with each operation in it, whether or not it is recorded for gradients. */
export function withTracer<T>(tracer: Tracer, body: () => T): T {
  const before = current;
  current = tracer;
  try {
    return body();
  } finally {
    current = before;
  }
}

/** Whether operations are traced now. */
export function isTracing(): boolean {
  return current !== null;
}

/** Calls the tracer, if there is one, with the operation that computed `output`. */
export function traceOp(output: Tensor, inputs: readonly Tensor[], op: AnyOp, attributes: unknown): void {
  current?.(output, inputs, op, attributes);
}
