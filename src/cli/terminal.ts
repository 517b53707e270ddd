// All that the command line prints goes through here.
import { ioError } from "../files/index.js";
import { printable } from "../log/index.js";
import { ERASE } from "../log/terminal_line.js";

/** The codes of a reader that is gone: a pipe that was closed, as `| head` does, or a terminal. */
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
 * Lines of a text broken between words if they are longer; a table's, whose cells have two spaces between
 * them, are not.
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

/**
 * A text behind what begins its line, broken between words; lines after the first begin below it, or after `indent`
 * spaces.
 */
export function hanging(start: string, text: string, width: number, indent = start.length): string {
  return `${start}${wrapped(text, width - indent).replaceAll("\n", `\n${" ".repeat(indent)}`)}`;
}

/** What is explained, and its text, which begins at a column, or below it where that leaves few. */
export function explained(form: string, text: string, column: number, width: number): string {
  if (text === "") return form;
  if (width - column < MIN_TEXT_COLUMNS) return `${form}\n${hanging(" ".repeat(8), text, width)}`;
  return hanging(form.padEnd(column), text, width);
}

/** The width that lines have to fit: that of a terminal; a file and a pipe take any. */
export function widthOf({ isTTY, columns }: Pick<typeof process.stdout, "isTTY" | "columns">): number {
  return isTTY && columns > 0 ? columns : Infinity;
}

/** Prints a text on standard output as it is, but for what a terminal would obey. */
export function writeOutput(text: string): void {
  process.stdout.write(printable(text));
}

/** The same on standard error. */
export function writeError(text: string): void {
  process.stderr.write(printable(text));
}

/** Erases the `^C` that a terminal shows where Ctrl-C is pressed. */
export function eraseInterrupt(): void {
  if (process.stderr.isTTY) process.stderr.write(ERASE);
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
