import type { Tensor } from "./tensor.js";

/** What an operation computes of its inputs, for whoever writes a network down in another form. */
export type Operation =
  | { readonly kind: "add" | "mul" | "matmul" | "relu" | "reshape" | "softmax" | "logSoftmax" }
  /** Repeats an input to the shape that it is broadcast to; gives it as it is. */
  | { readonly kind: "expand" | "detach" }
  /** x + number, x * number. */
  | { readonly kind: "addNumber" | "mulNumber"; readonly number: number }
  /** Over one axis, or over all where it is null. */
  | { readonly kind: "sum" | "mean"; readonly axis: number | null; readonly keepdim: boolean }
  /** Inputs x, weight [outputs, inputs], and bias where there is one; then ReLU where asked. */
  | { readonly kind: "linear"; readonly relu: boolean }
  /** Inputs x, weight, bias. */
  | {
      readonly kind: "batchNorm";
      readonly runningMean: Tensor;
      readonly runningVar: Tensor;
      readonly eps: number;
      readonly training: boolean;
    }
  | { readonly kind: "slice" | "dropout" | "denseBlock" | "loss" };

/** Told of each operation, after it was computed. */
export type Listener = (output: Tensor, inputs: readonly Tensor[], operation: Operation) => void;

let listener: Listener | null = null;

/** Runs `body` and tells `heard` of each operation in it, whether or not it is recorded for gradients. */
export function listening<T>(heard: Listener, body: () => T): T {
  const before = listener;
  listener = heard;
  try {
    return body();
  } finally {
    listener = before;
  }
}

/** Whether anybody listens. */
export function isListening(): boolean {
  return listener !== null;
}

/** Tells the listener, where there is one, how `output` was computed; gives it back. */
export function told(output: Tensor, inputs: readonly Tensor[], operation: Operation): Tensor {
  listener?.(output, inputs, operation);
  return output;
}
