import { type EpochRecord, formatEpoch, type Progress, progressBar } from "../log/index.js";
import type { RunControls } from "../train/index.js";
import type { TrainingFlags } from "./flags.js";

/** How a training command shows what happens: lines or JSON on standard output, progress and notes on standard error. */
export class Printer {
  private constructor(
    private readonly flags: TrainingFlags,
    private readonly lossName: string,
    private readonly bar: Progress | null,
  ) {}

  static async open(flags: TrainingFlags, lossName: string, epochs: number): Promise<Printer> {
    return new Printer(flags, lossName, flags.quiet ? null : await progressBar(epochs));
  }

  /** What a run calls. */
  get controls(): Pick<RunControls, "onStep" | "onEpoch" | "onNote"> {
    return {
      onStep: ({ step, steps, epoch }) => this.bar?.update(step, steps, epoch),
      onEpoch: (record) => this.#print(record, () => formatEpoch(this.lossName, record)),
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

  #print(object: EpochRecord | Record<string, unknown>, text: () => string): void {
    if (this.flags.quiet) return;
    this.bar?.clear();
    console.log(this.flags.json ? JSON.stringify(object) : text());
  }
}

/** 0.9018 as 90.18%. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(2)}%`;
}
