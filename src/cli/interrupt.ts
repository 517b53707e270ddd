import { EXIT } from "./errors.js";

/**
 * Runs `body` with a signal that Ctrl-C or SIGTERM sets: the run finishes its step and saves. A second one stops at
 * once.
 */
export async function interruptible<T>(
  note: (text: string) => void,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const stop = (name: string) => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    note("finishing the step and saving; once more stops at once");
    controller.abort(name);
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);
  try {
    return await body(controller.signal);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}
