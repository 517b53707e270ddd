import { flattenRecord, formatEpoch, type Progress, progressBar, type StepProgress } from "../log/index.js";
import type { RunControls } from "../train/index.js";

export { percent } from "../log/index.js";

/** What a command line says of what is shown. */
export interface PrinterFlags {
  quiet?: boolean;
  json?: boolean;
}

/** How a training command shows what happens: lines or JSON on standard output, progress and notes on standard error. */
export class Printer {
  private constructor(
    private readonly flags: PrinterFlags,
    private readonly lossName: string,
    private readonly bar: Progress<StepProgress> | null,
  ) {}

  static open(flags: PrinterFlags, lossName: string, epochs: number): Printer {
    return new Printer(flags, lossName, flags.quiet ? null : progressBar(epochs));
  }

  /** What a run calls. */
  get controls(): Pick<RunControls, "onStep" | "onEpoch" | "onNote"> {
    return {
      onStep: (record) => this.bar?.update(record),
      onEpoch: (record) => this.#print(flattenRecord(record), () => formatEpoch(this.lossName, record)),
      onNote: this.note,
    };
  }

  /** The lines at the end, or one JSON object. */
  end(object: Record<string, unknown>, lines: readonly string[]): void {
    this.#print({ event: "end", ...object }, () => lines.join("\n"));
  }

  /** A line on standard error. */
  readonly note = (text: string): void => {
    if (this.flags.quiet) return;
    this.bar?.clear();
    console.error(text);
  };

  /** Leaves the terminal as it was. */
  close(): void {
    this.bar?.stop();
  }

  #print(object: Record<string, unknown>, text: () => string): void {
    if (this.flags.quiet) return;
    this.bar?.clear();
    console.log(this.flags.json ? JSON.stringify(object) : text());
  }
}
