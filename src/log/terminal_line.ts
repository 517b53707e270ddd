import { isatty, WriteStream } from "node:tty";

const STANDARD_ERROR = 2;
const MS_BETWEEN_DRAWINGS = 125;
/** What prints the lines may be another process, as in `distillery distill | tee log.txt`: it goes first. */
const MS_FOR_A_READER = 30;
/** Erases the line that the cursor is in, and what is below. */
export const ERASE = "\r\x1b[J";

/** Where a line is drawn. */
export interface Screen {
  write(text: string): unknown;
  columns(): number;
  lines(): number;
  hasColours: boolean;
  /** Calls back when the width has changed, until what it gives is called. */
  onResize(changed: () => void): () => void;
}

/**
 * A line, or several, at the terminal's end that are drawn again and again. After a drawing the cursor is at their
 * beginning: what is printed there by others lands on them, and a narrower terminal, which breaks a line, leaves
 * nothing of it behind. Nothing else of the terminal is changed, so that nothing has to be put back however the process
 * ends.
 */
export class TerminalLine {
  #text: Text | null = null;
  #drawn = "";
  #nextDrawing = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #leave: () => void;

  constructor(private readonly screen: Screen) {
    const stopListening = screen.onResize(() => this.#drawn !== "" && this.#draw());
    const clear = () => this.clear();
    process.on("exit", clear);
    this.#leave = () => {
      stopListening();
      process.off("exit", clear);
    };
  }

  /** Shows a text of at most the given width, and of so many lines, soon. */
  show(text: Text): void {
    this.#text = text;
    const wait = this.#nextDrawing - performance.now();
    if (wait <= 0) this.#draw();
    else this.#timer ??= setTimeout(() => this.#draw(), wait).unref();
  }

  /** Takes the line away until it is shown again. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#drawn === "") return;
    this.screen.write(ERASE);
    this.#drawn = "";
    this.#nextDrawing = process.stdout.isTTY ? 0 : performance.now() + MS_FOR_A_READER;
  }

  /** Takes the line away for good. */
  stop(): void {
    this.clear();
    this.#leave();
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // The last column stays free: a terminal would go to its next line.
    const [width, height] = [this.screen.columns() - 1, this.screen.lines() - 1].map((length) => Math.max(1, length));
    const text = this.#text?.(width, height) ?? "";
    if (text !== this.#drawn) this.screen.write(drawing(text));
    this.#drawn = text;
    this.#nextDrawing = performance.now() + MS_BETWEEN_DRAWINGS;
  }
}

type Text = (width: number, height: number) => string;

/** What draws lines from the cursor's line on, and puts it back to the first one's beginning. */
function drawing(text: string): string {
  const lines = text.split("\n");
  const back = lines.length === 1 ? "" : `\x1b[${lines.length - 1}A`;
  return `\r${lines.join("\x1b[K\r\n")}\x1b[J\r${back}`;
}

/** Standard error, if it is a terminal on which a line can be drawn again; otherwise null. */
export function openScreen(): Screen | null {
  if (!isatty(STANDARD_ERROR) || process.env.TERM === "dumb") return null;
  // A stream of its own: what is drawn never lands in a log file.
  const stream = new WriteStream(STANDARD_ERROR);
  // A terminal that was closed is no reason for a run to end.
  stream.on("error", () => {});
  return {
    write: (text) => stream.write(text),
    // Only the process's own streams report a new width. Some terminals say 0.
    columns: () => process.stderr.columns || 80,
    lines: () => process.stderr.rows || 24,
    hasColours: stream.hasColors(),
    onResize(changed) {
      process.stderr.on("resize", changed);
      return () => process.stderr.off("resize", changed);
    },
  };
}
