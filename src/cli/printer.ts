import { type EpochRecord, formatEpoch, progressBar } from "../log/index.js";
import type { RunControls } from "../train/index.js";
import type { TrainingFlags } from "./flags.js";

/** How a training command shows what happens: lines or JSON on standard output, progress and notes on standard error. */
export class Printer {
  readonly #json: boolean;
  readonly #quiet: boolean;
  readonly #lossName: string;
  #bar: ReturnType<typeof progressBar> | null = null;

  constructor({ json = false, quiet = false }: TrainingFlags, lossName: string) {
    this.#json = json;
    this.#quiet = quiet;
    this.#lossName = lossName;
  }

  /** What a run calls. */
  controls(epochs: number): Pick<RunControls, "onStep" | "onEpoch" | "onNote"> {
    return {
      onStep: ({ step, steps, epoch }) => {
        if (this.#quiet) return;
        this.#bar ??= progressBar(steps, epochs);
        this.#bar.update(step, epoch);
      },
      onEpoch: (record) => this.#print(record, () => formatEpoch(this.#lossName, record)),
      onNote: (text) => this.#note(text),
    };
  }

  /** The lines at the end, or one JSON object. */
  end(object: Record<string, unknown>, lines: readonly string[]): void {
    this.#print({ event: "end", ...object }, () => lines.join("\n"));
  }

  /** Leaves the terminal as it was. */
  close(): void {
    this.#bar?.stop();
  }

  #print(object: EpochRecord | Record<string, unknown>, text: () => string): void {
    if (this.#quiet) return;
    this.#bar?.clear();
    console.log(this.#json ? JSON.stringify(object) : text());
  }

  #note(text: string): void {
    if (this.#quiet) return;
    this.#bar?.clear();
    console.error(text);
  }
}

/** 0.9018 as 90.18%. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(2)}%`;
}
