// All that the command line prints goes through here.
import { ioError } from "../files/index.js";
import { printable } from "../log/index.js";

/** The codes of a reader that is gone: a pipe that was closed, as `| head` does, or a terminal. */
const GONE: readonly unknown[] = ["EPIPE", "EIO", "ENXIO", "ECONNRESET"];

let isOutputFailed = false;
let onReaderGone = () => {};

/** Prints lines on standard output. */
export function print(text: string): void {
  writeOutput(`${text}\n`);
}

/** Prints lines on standard error. */
export function printError(text: string): void {
  writeError(`${text}\n`);
}

/** Prints a text on standard output as it is, but for what a terminal would obey. */
export function writeOutput(text: string): void {
  process.stdout.write(printable(text));
}

/** The same on standard error. */
export function writeError(text: string): void {
  process.stderr.write(printable(text));
}

/** Calls `listener` if the reader of standard output goes away while `body` runs. */
export async function whileRead<T>(listener: () => void, body: () => Promise<T>): Promise<T> {
  onReaderGone = listener;
  try {
    return await body();
  } finally {
    onReaderGone = () => {};
  }
}

// A failure to print ends no work: it is said once, and what can't be written at all is a failed command.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (isOutputFailed) return;
  isOutputFailed = true;
  if (GONE.includes(error.code)) return onReaderGone();
  process.exitCode ??= 1;
  printError(`distillery: ${ioError("write", "standard output", error).message} (IO_ERROR)`);
});
process.stderr.on("error", () => {});
