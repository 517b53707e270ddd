import type { EpochRecord, Metrics } from "../log/epoch_record.js";
import type { MetricsLog } from "../log/metrics_log.js";
import type { RunResult } from "./run_setup.js";

/** What a run tells of a step. */
export interface StepRecord {
  /** The epoch that the step belongs to, from 1. */
  epoch: number;
  /** Steps made since the run began, this one included. */
  step: number;
  /** Steps of the whole run. */
  steps: number;
  /** `loss`, and the loss's own metrics: of the default loss `soft` and `hard`, its parts before they are weighted. */
  metrics: Metrics;
  /** The learning rate after the step. */
  lr: number;
  /** Of the epoch so far. */
  samplesPerSecond: number;
  /** The gradient's norm before it was clipped. */
  gradNorm: number;
}

/** How a run is watched, stopped and kept. */
export interface RunControls {
  /** The folder for configuration, metrics, checkpoints and the weights at the end; without it nothing is written. */
  out?: string;
  /** Whether to go on with the run in `out`, where there is one. */
  resume?: boolean;
  /** Epochs, or steps, between checkpoints; default: every epoch, but at most one a second. */
  checkpointEvery?: number | { steps: number };
  /** How many checkpoints are kept, the newest included; default 2. */
  keepCheckpoints?: number;
  /** What `config.json` keeps, and what a resumed run must have too, but for `given`: what a person said, to say it again. */
  about?: Readonly<Record<string, unknown>>;
  /** Stops the run after the step that it is in; with `out`, once its state is saved. It ends with `ABORTED`. */
  signal?: AbortSignal;
  /** Called after each step. */
  onStep?: (record: StepRecord) => void;
  /** Called after each epoch; the run waits for it. */
  onEpoch?: (record: EpochRecord) => void | Promise<void>;
  /** Called once, when the run has come to its end and its files are written; the run waits for it. */
  onEnd?: (result: RunResult) => void | Promise<void>;
  /** Where the metrics go beside `metrics.jsonl`: `tensorBoardLog(folder)`, `csvLog(file)`. */
  logs?: readonly MetricsLog[];
  /** Called with a line that a person would want to know, such as where a run goes on. */
  onNote?: (text: string) => void;
}

/** The names of {@link RunControls}, to tell them from the options. */
export function splitControls<T extends RunControls>(input: T): [RunControls, Omit<T, keyof RunControls>] {
  const {
    out,
    resume,
    checkpointEvery,
    keepCheckpoints,
    about,
    signal,
    onStep,
    onEpoch,
    onEnd,
    logs,
    onNote,
    ...rest
  } = input;
  const given = { out, resume, checkpointEvery, keepCheckpoints, about, signal, onStep, onEpoch, onEnd, logs, onNote };
  const controls = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return [controls as RunControls, rest];
}
