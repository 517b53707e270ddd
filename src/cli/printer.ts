import type { ExperimentControls, TrialRecord } from "../compare/index.js";
import { flattenRecord, formatEpoch, overallBar, type Progress, progressBar } from "../log/index.js";
import { type Metric, metricOfKey, showMetric } from "../tasks/metrics.js";
import type { RunControls } from "../train/index.js";
import { metricsOfEpoch } from "../train/trainer_state.js";
import type { ShowFlags } from "./flags.js";
import { print, printError, widthOf, wrapped } from "./terminal.js";

/** How a training command shows its work: lines or JSON on standard output, progress and notes on standard error. */
export class Printer {
  #isOpen = false;

  constructor(
    private readonly flags: ShowFlags,
    private readonly bar: Pick<Progress<unknown>, "clear" | "stop" | "work"> | null = null,
  ) {}

  /**
   * Prints what is trained, once: before the first step, other work or note. A command that fails earlier prints one
   * line.
   */
  protected open(opening: Opening): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    if (!this.flags.json) this.note(opening(widthOf(process.stderr)).join("\n"));
  }

  /** Called for work besides the steps, and for notes. */
  protected reports(opening: Opening): Required<Pick<RunControls, "onWork" | "onNote">> {
    return {
      onWork: (progress) => {
        this.open(opening);
        this.bar?.work(progress);
      },
      onNote: (text) => {
        this.open(opening);
        this.note(text);
      },
    };
  }

  /** Prints the lines at the end, or one JSON object. */
  end(object: Record<string, unknown>, lines: readonly string[]): void {
    this.print({ event: "end", ...object }, () => wrapped(lines.join("\n"), widthOf(process.stdout)));
  }

  /** Prints a line on standard error. */
  readonly note = (text: string): void => {
    if (this.flags.quiet) return;
    this.bar?.clear();
    printError(text);
  };

  /** Restores the terminal. */
  close(): void {
    this.bar?.stop();
  }

  protected print(object: Record<string, unknown>, text: () => string): void {
    if (this.flags.quiet) return;
    this.bar?.clear();
    print(this.flags.json ? JSON.stringify(object) : text());
  }
}

/** Lines that say what is trained, at most `width` columns wide. */
type Opening = (width: number) => readonly string[];

/** Shows one run: a line per epoch. */
export class RunPrinter extends Printer {
  /** The callbacks of a run. */
  readonly controls: Pick<RunControls, "onStep" | "onEpoch" | "onWork" | "onNote">;

  /** `details`: whether the line of an epoch shows the loss's own metrics. */
  constructor(
    flags: ShowFlags,
    { lossName, epochs, details, opening }: { lossName: string; epochs: number; details: boolean; opening: Opening },
  ) {
    const bar = flags.quiet ? null : progressBar(epochs);
    super(flags, bar);
    this.controls = {
      onStep: (record) => {
        this.open(opening);
        bar?.update(record);
      },
      onEpoch: (record) =>
        this.print(flattenRecord(record), () =>
          formatEpoch(lossName, record, { details, width: widthOf(process.stdout) }),
        ),
      ...this.reports(opening),
    };
  }
}

/** Shows an experiment of several runs: a line per run. */
export class ExperimentPrinter extends Printer {
  /** The callbacks of a comparison or sweep. */
  readonly controls: Pick<ExperimentControls, "onProgress" | "onTrial" | "onWork" | "onNote">;

  constructor(flags: ShowFlags, opening: Opening) {
    const bar = flags.quiet ? null : overallBar();
    super(flags, bar);
    this.controls = {
      onProgress: ({ done, total, running }) => {
        this.open(opening);
        const runs = running.map(({ metrics, ...run }) => ({ ...run, figures: metrics }));
        bar?.update({ done, total, text: running.length === 0 ? "" : `${running.length} in progress`, runs });
      },
      onTrial: (trial) => this.print({ event: "run", ...trial }, () => trialLine(trial, widthOf(process.stdout))),
      ...this.reports(opening),
    };
  }
}

/** A finished run. On a narrow terminal the metric's name, or the seconds, are left out. */
function trialLine({ name, epochs, best, seconds }: TrialRecord, width: number): string {
  const [[key, value]] = Object.entries(metricsOfEpoch(best)).filter(([key]) => key !== "validationLoss");
  const metric = metricOfKey(key) as Metric;
  const figure = `${showMetric(metric, value)} in epoch ${best.epoch} of ${epochs}`;
  const time = `${seconds.toFixed(1)} s`;
  const forms = [
    `${name}: validation ${metric.label} ${figure}, ${time}`,
    `${name}: validation ${figure}, ${time}`,
    `${name}: ${figure}, ${time}`,
  ];
  return forms.find((line) => line.length <= width) ?? `${name}: ${figure}`;
}
