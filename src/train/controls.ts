import {
  argumentError,
  badArgument,
  expectFlags,
  expectInteger,
  expectPath,
  expectSignal,
  hasMethods,
  isObject,
  isPlain,
} from "../checks.js";
import type { EpochRecord } from "../log/epoch_record.js";
import type { MetricsLog } from "../log/metrics_log.js";
import type { StepProgress, WorkProgress } from "../log/progress_line.js";
import { Ranks } from "./ranks.js";
import type { StepPoint } from "./step_trace.js";
import type { BestWeights } from "./trainer_state.js";

/** What a run reports after a step. */
export interface StepRecord extends StepProgress {
  /** The gradient's norm before clipping. */
  gradNorm: number;
}

/** What a whole run gives. */
export interface RunResult {
  /** One record per epoch, including those from before the run was resumed. */
  history: EpochRecord[];
  /** Loss and gradient norm by step; for a run of more than 600 steps only every 2nd, 4th, ... step. */
  steps: StepPoint[];
  /** The weight files that were written: the last weights, and the best on the validation set if there is one. */
  files: string[];
  /** The best epoch on the validation set, with its weights; null without a validation set. */
  best: BestWeights | null;
  /** Whether early stopping ended it before its last epoch. */
  stoppedEarly: boolean;
}

/** How a run is watched, stopped and saved. If a callback returns a promise, the run awaits it. */
export interface RunControls {
  /** The folder for configuration, metrics, checkpoints and the final weights; without it nothing is written. */
  out?: string;
  /** Whether to continue the run in `out`, if there is one; with more `epochs` even a finished one. */
  resume?: boolean;
  /**
   * Whether a run with other options in `out` is replaced, its weights and report when the new one starts. By default
   * it is refused.
   */
  overwrite?: boolean;
  /** Epochs, or steps, between checkpoints; default: every epoch, but at most one a second. */
  checkpointEvery?: number | { steps: number };
  /**
   * How many checkpoints are kept, including the newest; default 2. With 0, two are kept during the run, and once it
   * has finished only its result, without the optimizer's state: such a run can't be extended.
   */
  keepCheckpoints?: number;
  /**
   * What `config.json` keeps besides the options. A resumed run must have the same, except for `userOptions`, the
   * options as the user wrote them.
   */
  metadata?: Readonly<Record<string, unknown>>;
  /**
   * Stops the run after its current step (before it, if the step is waiting for a function as its teacher), and with
   * `out` after its state is saved. The run then fails with `ABORTED`.
   */
  signal?: AbortSignal;
  /** Called after each step. */
  onStep?: (record: StepRecord) => unknown;
  /** Called after each epoch. */
  onEpoch?: (record: EpochRecord) => unknown;
  /** Called once, when the run has ended and its files are written. */
  onEnd?: (result: RunResult) => unknown;
  /** Called for work besides the steps, when it starts and after each part: the teacher's logits. */
  onWork?: (progress: WorkProgress) => unknown;
  /** Where metrics go besides `metrics.jsonl`: `tensorBoardLog(folder)`, `csvLog(file)`. A log belongs to one run. */
  logs?: readonly MetricsLog[];
  /** Called with a line for the user, such as where a run is resumed. */
  onNote?: (text: string) => unknown;
  /**
   * The processes that share the run, as {@link joinRanks} returns them: each takes a part of the `shards` of every
   * batch.
   */
  ranks?: Ranks;
}

/** How many checkpoints a run keeps by default. */
export const KEPT_CHECKPOINTS = 2;

/** Refuses an invalid control; `BAD_ARGUMENT`. */
export type Check = (name: string, value: unknown) => void;

const must =
  (ok: (value: unknown) => boolean, expected: string): Check =>
  (name, value) => {
    if (!ok(value)) throw badArgument(name, expected, value);
  };
export const expectFlag: Check = (name, value) => expectFlags({ [name]: value });
export const expectCallback = must((value) => typeof value === "function", "a function");
const LOG = "{ begin, epoch, close }, as tensorBoardLog(folder) gives";

/** What each control of a run has to be. */
export const RUN_CONTROLS: Readonly<Record<keyof RunControls, Check>> = {
  out: (name, value) => expectPath(name, value, "a folder"),
  resume: expectFlag,
  overwrite: expectFlag,
  checkpointEvery: (name, value) => {
    const { steps } = Object(value) as { steps?: unknown };
    if (typeof value === "number") expectInteger(name, value, 1);
    else if (steps === undefined) throw badArgument(name, "a number, or { steps }", value);
    else expectInteger(`${name}.steps`, steps, 1);
  },
  keepCheckpoints: (name, value) => expectInteger(name, value, 0),
  metadata: (name, value) => {
    if (!isObject(value)) throw badArgument(name, "an object", value);
    expectJson(name, value);
  },
  signal: (_, value) => expectSignal(value),
  onStep: expectCallback,
  onEpoch: expectCallback,
  onEnd: expectCallback,
  onWork: expectCallback,
  logs: (name, value) => {
    if (!Array.isArray(value)) throw badArgument(name, `a list of ${LOG}`, value);
    for (const [i, log] of value.entries()) {
      if (!hasMethods(log, "begin", "epoch", "close")) throw badArgument(`${name}[${i}]`, LOG, log);
    }
  },
  onNote: expectCallback,
  ranks: must((value) => value instanceof Ranks, "what joinRanks() gives"),
};

/** Refuses values that JSON can't represent exactly; a key whose value is undefined is left out. */
function expectJson(name: string, value: unknown, inside: readonly object[] = []): void {
  if (value === undefined || value === null || typeof value === "string" || typeof value === "boolean") return;
  if (Number.isFinite(value)) return;
  if (typeof value !== "object" || inside.includes(value) || !(Array.isArray(value) || isPlain(value))) {
    throw badArgument(name, "what JSON can hold", value);
  }
  for (const [key, inner] of Object.entries(value)) expectJson(`${name}.${key}`, inner, [...inside, value]);
}

/** The names of the controls, and of the report's, which the package adds. */
export const CONTROL_NAMES: readonly string[] = [...Object.keys(RUN_CONTROLS), "report"];

/** Refuses invalid controls in an input; the `BAD_ARGUMENT` names the first. */
export function checkControls<C extends object>(input: C, checks: Readonly<Record<keyof C, Check>>): void {
  for (const [name, check] of Object.entries<Check>(checks)) {
    const value: unknown = input[name as keyof C];
    if (value !== undefined) check(name, value);
  }
}

/** Controls that say how the files of a run are kept. */
const OF_FOLDER = ["resume", "overwrite", "checkpointEvery", "keepCheckpoints", "report"] as const;

/** Refuses controls about the run's folder if there is none. */
export function expectFolder(input: RunControls & { report?: boolean }): void {
  const name = OF_FOLDER.find((option) => input[option] !== undefined && input[option] !== false);
  if (input.out === undefined && name !== undefined) throw argumentError(name, "needs out, the folder of the run");
}

/** Splits an input into the controls that were given, and the rest. */
export function splitControls<T extends RunControls>(input: T): [RunControls, Omit<T, keyof RunControls>];
export function splitControls<C extends object, T extends C>(
  input: T,
  checks: Readonly<Record<keyof C, Check>>,
): [C, Omit<T, keyof C>];
export function splitControls(input: object, checks: object = RUN_CONTROLS): [object, object] {
  const given = Object.entries(input ?? {}).filter(([, value]) => value !== undefined);
  const isControl = ([name]: [string, unknown]) => Object.hasOwn(checks, name);
  return [Object.fromEntries(given.filter(isControl)), Object.fromEntries(given.filter((entry) => !isControl(entry)))];
}
