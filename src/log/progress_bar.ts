import { isatty, WriteStream } from "node:tty";

/** How far a run is, shown on standard error while it is a terminal; otherwise every call does nothing. */
export interface Progress {
  /** Steps made, of all, and the epoch that they belong to, from 1. */
  update(step: number, steps: number, epoch: number): void;
  /** Takes the bar off the screen, so that a line can be printed; the next update draws it again. */
  clear(): void;
  /** Takes the bar off the screen for good. */
  stop(): void;
}

const SILENT: Progress = { update: () => {}, clear: () => {}, stop: () => {} };
const STANDARD_ERROR = 2;
const CLEAR_LINE = "\r\x1b[K";
const SAVE_CURSOR = "\x1b7";

/** A bar of steps with the time that is left, drawn on a stream of its own: it never lands in a log file. */
export async function progressBar(epochs: number): Promise<Progress> {
  if (!isatty(STANDARD_ERROR)) return SILENT;
  // Only here: a process without a terminal starts without it.
  const { Presets, SingleBar } = await import("cli-progress");
  const stream = new WriteStream(STANDARD_ERROR);
  const format = "{bar} {percentage}% | epoch {epoch}/{epochs} | step {value}/{total} | {eta_formatted} left";
  const bar = new SingleBar({ format, stream, clearOnComplete: true, fps: 8, gracefulExit: false }, Presets.rect);
  return {
    update(step, steps, epoch) {
      if (bar.isActive) bar.update(step, { epoch, epochs });
      else bar.start(steps, step, { epoch, epochs });
    },
    clear: () => void (bar.isActive && stream.write(CLEAR_LINE)),
    stop() {
      if (!bar.isActive) return;
      // It goes back to where it saved the cursor, which has moved on since its start.
      stream.write(SAVE_CURSOR);
      bar.stop();
    },
  };
}
