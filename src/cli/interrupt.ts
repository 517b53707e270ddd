import { EXIT } from "./errors.js";

/** Runs `body` with a signal that Ctrl-C or SIGTERM sets: then it does what `promise` says. A second one stops at once. */
export async function interruptible<T>(
  note: (text: string) => void,
  body: (signal: AbortSignal) => Promise<T>,
  promise = "finishing the step and saving",
): Promise<T> {
  const controller = new AbortController();
  const stop = (name: string) => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    note(`${promise}; once more stops at once`);
    controller.abort(name);
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);
  try {
    return await body(controller.signal);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}
