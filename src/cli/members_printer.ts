import type { ExperimentControls, TrialRecord } from "../compare/index.js";
import { overallBar, percent } from "../log/index.js";
import type { ShowFlags } from "./flags.js";

/** How a command of several runs shows what happens: a line a run on standard output, progress and notes on standard error. */
export class MembersPrinter {
  readonly #bar;

  constructor(private readonly flags: ShowFlags) {
    this.#bar = flags.quiet ? null : overallBar();
  }

  /** What a comparison calls. */
  get controls(): Pick<ExperimentControls, "onProgress" | "onTrial" | "onNote"> {
    return {
      onProgress: ({ done, total, running }) => this.#bar?.update({ done, total, text: running.join(", ") }),
      onTrial: (member) => this.#print({ event: "run", ...member }, () => memberLine(member)),
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
    this.#bar?.clear();
    console.error(text);
  };

  /** Leaves the terminal as it was. */
  close(): void {
    this.#bar?.stop();
  }

  #print(object: Record<string, unknown>, text: () => string): void {
    if (this.flags.quiet) return;
    this.#bar?.clear();
    console.log(this.flags.json ? JSON.stringify(object) : text());
  }
}

function memberLine({ name, epochs, best, seconds }: TrialRecord): string {
  const accuracy = `validation accuracy ${percent(best.validationAccuracy)} in epoch ${best.epoch} of ${epochs}`;
  return `${name}: ${accuracy}, ${seconds.toFixed(1)} s`;
}
