import { show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import type { EpochRecord } from "../log/epoch_record.js";
import type { MetricsLog } from "../log/metrics_log.js";
import type { StepProgress } from "../log/progress_line.js";
import type { BestWeights } from "./trainer_state.js";

/** What a run reports after a step. */
export interface StepRecord extends StepProgress {
  /** The gradient's norm before it was clipped. */
  gradNorm: number;
}

/** What a whole run gives. */
export interface RunResult {
  /** A record an epoch, those from before the run was resumed included. */
  history: EpochRecord[];
  /** The files of weights that were written: the last ones, and the best on the validation set if there is one. */
  files: string[];
  /** The epoch that did best on the validation set, with its weights; null without one. */
  best: BestWeights | null;
  /** Whether it ended before its last epoch, by early stopping. */
  stoppedEarly: boolean;
}

/** How a run is watched, stopped and kept. */
export interface RunControls {
  /** The folder for configuration, metrics, checkpoints and the weights at the end; without it nothing is written. */
  out?: string;
  /** Whether to continue the run in `out`, if there is one; with more `epochs` also a finished one. */
  resume?: boolean;
  /** Whether a run with other options in `out` is replaced; default: it is refused. */
  overwrite?: boolean;
  /** Epochs, or steps, between checkpoints; default: every epoch, but at most one a second. */
  checkpointEvery?: number | { steps: number };
  /**
   * How many checkpoints are kept, the newest included; default 2. 0: two while the run goes on, and when it has finished what it
   * came to, without the optimizer's state: it can't go on with more epochs then.
   */
  keepCheckpoints?: number;
  /**
   * What `config.json` keeps beside the options. A resumed run must have the same, except for `userOptions`: the options as the
   * user wrote them.
   */
  metadata?: Readonly<Record<string, unknown>>;
  /** Stops the run after the step that it is in; with `out`, once its state is saved. It ends with `ABORTED`. */
  signal?: AbortSignal;
  /** Called after each step; if it returns a promise, the run waits for it. */
  onStep?: (record: StepRecord) => void;
  /** Called after each epoch; the run waits for it. */
  onEpoch?: (record: EpochRecord) => void | Promise<void>;
  /** Called once, when the run has ended and its files are written; the run waits for it. */
  onEnd?: (result: RunResult) => void | Promise<void>;
  /** Where the metrics go beside `metrics.jsonl`: `tensorBoardLog(folder)`, `csvLog(file)`. */
  logs?: readonly MetricsLog[];
  /** Called with a line for the user, such as where a run is resumed. */
  onNote?: (text: string) => void;
}

/** What a control has to be. */
type Check = readonly [ok: (value: unknown) => boolean, expected: string];

const has = (value: unknown, ...methods: string[]) =>
  methods.every((name) => typeof (Object(value) as Record<string, unknown>)[name] === "function");
const CALLED: Check = [(value) => typeof value === "function", "a function"];
const LOG = "{ begin, epoch, close }, as tensorBoardLog(folder) gives";

const CONTROLS: Readonly<Record<keyof RunControls, Check>> = {
  out: [(value) => typeof value === "string" && value !== "", "a folder"],
  resume: [(value) => typeof value === "boolean", "true or false"],
  overwrite: [(value) => typeof value === "boolean", "true or false"],
  checkpointEvery: [(value) => typeof value === "number" || "steps" in Object(value), "a number, or { steps }"],
  keepCheckpoints: [(value) => typeof value === "number", "a number"],
  metadata: [(value) => typeof value === "object" && value !== null && !Array.isArray(value), "an object"],
  signal: [(value) => has(value, "addEventListener") && "aborted" in Object(value), "an AbortSignal"],
  onStep: CALLED,
  onEpoch: CALLED,
  onEnd: CALLED,
  logs: [Array.isArray, `a list of ${LOG}`],
  onNote: CALLED,
};

/** Refuses controls of an input that are not what they have to be; `BAD_ARGUMENT` that names the first. */
export function checkControls(input: RunControls): void {
  const refuse = (name: string, expected: string, value: unknown) => {
    throw new DistilleryError("BAD_ARGUMENT", `${name}: expected ${expected}, got ${show(value)}`);
  };
  for (const [name, [ok, expected]] of Object.entries(CONTROLS)) {
    const value = input[name as keyof RunControls];
    if (value !== undefined && !ok(value)) refuse(name, expected, value);
  }
  for (const [i, log] of (input.logs ?? []).entries()) {
    if (!has(log, "begin", "epoch", "close")) refuse(`logs[${i}]`, LOG, log);
  }
}

/** The controls of an input that were given, and the rest. */
export function splitControls<T extends RunControls>(input: T): [RunControls, Omit<T, keyof RunControls>] {
  const given = Object.entries(input ?? {}).filter(([, value]) => value !== undefined);
  const isControl = ([name]: [string, unknown]) => Object.hasOwn(CONTROLS, name);
  return [
    Object.fromEntries(given.filter(isControl)),
    Object.fromEntries(given.filter((entry) => !isControl(entry))) as Omit<T, keyof RunControls>,
  ];
}
