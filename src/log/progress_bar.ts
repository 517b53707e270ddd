import {
  type OverallProgress,
  overallLine,
  type Paint,
  type StepProgress,
  stepLine,
  type WorkProgress,
} from "./progress_line.js";
import { runningLines } from "./running_lines.js";
import { openScreen, TerminalLine } from "./terminal_line.js";
import { TimeLeft } from "./time_left.js";

/** A progress bar on standard error if that is a terminal; otherwise every call does nothing. */
export interface Progress<T> {
  update(progress: T): void;
  /** Shows what is done beside the steps in its place. */
  work(progress: WorkProgress): void;
  /** Takes the bar off the screen, so that a line can be printed; the next update draws it again. */
  clear(): void;
  /** Takes the bar off the screen for good. */
  stop(): void;
}

const SILENT = { update: () => {}, work: () => {}, clear: () => {}, stop: () => {} };
const PLAIN: Paint = (done, left) => done + left;
/** Cyan, and dim. */
const COLOURED: Paint = (done, left) => `\x1b[36m${done}\x1b[39m\x1b[2m${left}\x1b[22m`;

/** The bar of one run: epoch, step, time left, metrics, learning rate, samples a second. */
export function progressBar(epochs: number): Progress<StepProgress> {
  return bar(
    ({ step, steps }) => [step, steps],
    (progress, { height: _, ...rest }) => stepLine(progress, { epochs, ...rest }),
  );
}

/** The bar of several runs that count as one: time left, and what is running, a line a run. */
export function overallBar(): Progress<OverallProgress> {
  return bar(
    ({ done, total }) => [done, total],
    (progress, { height, ...rest }) =>
      [
        overallLine(progress, rest),
        ...runningLines(progress.runs ?? [], { width: rest.width, height: height - 1 }),
      ].join("\n"),
  );
}

function bar<T>(
  counts: (progress: T) => [done: number, total: number],
  text: (progress: T, rest: { left: number | null; width: number; height: number; paint: Paint }) => string,
): Progress<T> {
  const screen = openScreen();
  if (screen === null) return SILENT;
  const paint = screen.hasColours ? COLOURED : PLAIN;
  const [terminal, time] = [new TerminalLine(screen), new TimeLeft()];
  let ofWork = { name: "", time };
  return {
    update(progress) {
      const left = time.after(...counts(progress), performance.now() / 1000);
      terminal.show((width, height) => text(progress, { left, width, height, paint }));
    },
    work({ work, done, total }) {
      if (ofWork.name !== work) ofWork = { name: work, time: new TimeLeft() };
      const left = ofWork.time.after(done, total, performance.now() / 1000);
      terminal.show((width) => overallLine({ done, total, text: work }, { left, width, paint }));
    },
    clear: () => terminal.clear(),
    stop: () => terminal.stop(),
  };
}
