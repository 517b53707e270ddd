import { types } from "node:util";

/**
 * The stable codes of {@link DistilleryError}: match on these, never on the text.
 *
 * | code | when |
 * |---|---|
 * | `SHAPE_MISMATCH` | an array has another shape than the operation needs |
 * | `BAD_DTYPE` | an argument is of another type |
 * | `BAD_ARGUMENT` | a value lies outside its range |
 * | `LABEL_OUT_OF_RANGE` | a label names no class |
 * | `NON_FINITE` | data, a loss, a gradient or a network's outputs are NaN or infinite |
 * | `BATCH_TOO_SMALL` | BatchNorm in train mode got a batch of one |
 * | `STATE_DICT_MISMATCH` | the keys or shapes of a state dict do not fit the module |
 * | `NO_GRADIENT` | `backward()` if no input requires a gradient, or a second time without `retainGraph` the first |
 * | `BAD_CHECKPOINT`, `BAD_DATA`, `BAD_CONFIG` | a file is damaged, foreign or holds what is not accepted |
 * | `NOT_FOUND`, `IO_ERROR` | a file or folder is missing, or can't be read or written |
 * | `IN_USE` | another run has the folder |
 * | `ABORTED` | an AbortSignal stopped the run |
 * | `OVERLAP` | an output shares memory with an input |
 * | `NATIVE` | the native binding can't be loaded |
 * | `INTERNAL` | a defect of Distillery: please report it |
 */
export type ErrorCode =
  | "SHAPE_MISMATCH"
  | "BAD_DTYPE"
  | "BAD_ARGUMENT"
  | "LABEL_OUT_OF_RANGE"
  | "NON_FINITE"
  | "BATCH_TOO_SMALL"
  | "STATE_DICT_MISMATCH"
  | "NO_GRADIENT"
  | "BAD_CHECKPOINT"
  | "BAD_DATA"
  | "BAD_CONFIG"
  | "NOT_FOUND"
  | "IO_ERROR"
  | "IN_USE"
  | "ABORTED"
  | "OVERLAP"
  | "NATIVE"
  | "INTERNAL";

/**
 * Every error that Distillery throws: `code` is stable, `message` names the argument, what came and what was expected.
 *
 * @example
 * ```ts
 * try {
 *   await load("student.pth");
 * } catch (error) {
 *   if (error instanceof DistilleryError && error.code === "NOT_FOUND") console.error(error.message);
 * }
 * ```
 */
export class DistilleryError extends Error {
  override readonly name = "DistilleryError";
  readonly code: ErrorCode;
  /** Not a property of its own, so that errors with the same code and message compare as equal. */
  readonly #argument: string | null;

  constructor(
    code: ErrorCode,
    message: string,
    { argument = null, ...options }: { argument?: string | null; cause?: unknown } = {},
  ) {
    super(message, options);
    this.code = code;
    this.#argument = argument;
  }

  /**
   * The argument or option that the error is about, which its message begins with: `batchSize`, `losses[1]`. Null if it
   * is about something else, such as a file.
   */
  get argument(): string | null {
    return this.#argument;
  }
}

/** Whether work ended because its signal was aborted. */
export function isAbort(error: unknown): boolean {
  return error instanceof DistilleryError && error.code === "ABORTED";
}

const NATIVE_CODES: ReadonlyMap<unknown, ErrorCode> = new Map([
  ["SHAPE_MISMATCH", "SHAPE_MISMATCH"],
  ["BAD_ARGUMENT", "BAD_ARGUMENT"],
  ["LABEL_OUT_OF_RANGE", "LABEL_OUT_OF_RANGE"],
  ["NON_FINITE", "NON_FINITE"],
  ["BATCH_TOO_SMALL", "BATCH_TOO_SMALL"],
  ["BAD_DTYPE", "BAD_DTYPE"],
  ["OVERLAP", "OVERLAP"],
  ["IO_ERROR", "IO_ERROR"],
  ["InvalidArg", "BAD_DTYPE"],
  ["NumberExpected", "BAD_DTYPE"],
  ["BooleanExpected", "BAD_DTYPE"],
  ["ArrayExpected", "BAD_DTYPE"],
]);

/** The prefix of a kernel's error: `kd_loss` for `kdLoss`. */
const KERNEL_NAME = /^[a-z]+(_[a-z]+)+(?=: )/;

/** The one place where an error of the native binding becomes a {@link DistilleryError}. */
export function fromNative(error: unknown): DistilleryError {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: string };
  // V8 throws it when a kernel's object of arguments is null or undefined.
  const fallback = types.isNativeError(error) && error.name === "TypeError" ? "BAD_DTYPE" : "INTERNAL";
  const text = (message ?? String(error)).replace(KERNEL_NAME, (name) =>
    name.replace(/_(.)/g, (_, x) => x.toUpperCase()),
  );
  return new DistilleryError(NATIVE_CODES.get(code) ?? fallback, text, { cause: error });
}
