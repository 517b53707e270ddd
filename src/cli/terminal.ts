// All output of the command line goes through this file.
import { ioError } from "../files/index.js";
import { printable } from "../log/index.js";
import { ERASE } from "../log/terminal_line.js";

/** Error codes of a reader that has gone: a closed pipe, as with `| head`, or a terminal. */
const GONE: readonly unknown[] = ["EPIPE", "EIO", "ENXIO", "ECONNRESET"];

let isOutputFailed = false;
let onReaderGone = () => {};

const MIN_TEXT_COLUMNS = 24;

/** Prints lines on standard output. */
export function print(text: string): void {
  writeOutput(`${text}\n`);
}

/** Prints lines on standard error, broken between words if a terminal is narrower. */
export function printError(text: string): void {
  writeError(`${wrapped(text, widthOf(process.stderr))}\n`);
}

/**
 * The lines of a text, broken between words if they are too long. Lines of tables, whose cells have two spaces between
 * them, are not broken.
 */
export function wrapped(text: string, width: number): string {
  const broken = (line: string) => {
    const lines = [""];
    for (const word of line.split(" ")) {
      const last = lines.length - 1;
      if (lines[last] !== "" && lines[last].length + 1 + word.length > width) lines.push(word);
      else lines[last] += lines[last] === "" ? word : ` ${word}`;
    }
    return lines.join("\n");
  };
  return text
    .split("\n")
    .map((line) => (line.length <= width || line.includes("  ") ? line : broken(line)))
    .join("\n");
}

/** A text after a prefix, broken between words. Later lines begin below the text, or after `indent` spaces. */
export function hanging(start: string, text: string, width: number, indent = start.length): string {
  return `${start}${wrapped(text, width - indent).replaceAll("\n", `\n${" ".repeat(indent)}`)}`;
}

/** A term and its explanation, which begins at a column, or on the next line if little room is left. */
export function explained(form: string, text: string, column: number, width: number): string {
  if (text === "") return form;
  if (width - column < MIN_TEXT_COLUMNS) return `${form}\n${hanging(" ".repeat(8), text, width)}`;
  return hanging(form.padEnd(column), text, width);
}

/** The width that lines have to fit: that of a terminal; unlimited for a file or a pipe. */
export function widthOf({ isTTY, columns }: Pick<typeof process.stdout, "isTTY" | "columns">): number {
  return isTTY && columns > 0 ? columns : Infinity;
}

/** Prints a text on standard output unchanged, except for sequences that a terminal would interpret. */
export function writeOutput(text: string): void {
  process.stdout.write(printable(text));
}

/** The same on standard error. */
export function writeError(text: string): void {
  process.stderr.write(printable(text));
}

/** Erases the `^C` that a terminal shows when Ctrl-C is pressed. */
export function eraseInterrupt(): void {
  if (process.stderr.isTTY) process.stderr.write(ERASE);
}

/** Calls `listener` if the reader of standard output goes away while `body` runs. */
export async function whileRead<T>(listener: () => void, body: () => Promise<T>): Promise<T> {
  const before = onReaderGone;
  onReaderGone = listener;
  try {
    return await body();
  } finally {
    onReaderGone = before;
  }
}

// A failure to print does not stop the work: it is reported once, and the command counts as failed.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (isOutputFailed) return;
  isOutputFailed = true;
  if (GONE.includes(error.code)) return onReaderGone();
  process.exitCode ??= 1;
  printError(`distillery: ${ioError("write", "standard output", error).message} (IO_ERROR)`);
});
process.stderr.on("error", () => {});
