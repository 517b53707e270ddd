import { expectInteger, show } from "../checks.js";
import type { Dataset } from "../data/index.js";
import { DistilleryError } from "../errors.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { expectDataset, expectModule } from "../train/arguments.js";
import type { BestEpoch } from "../train/best.js";
import {
  type DistillationOptions,
  distillationSchema,
  type ResolvedDistillation,
  readOptions,
} from "../train/options.js";
import { expectLike, type Problem, type SplitProblem, splitProblem } from "./problem.js";
import type { CompareProgress } from "./progress.js";

/** Processes that train side by side. */
export interface Workers {
  /**
   * A module, by its file or address, whose default export gives the problem in such a process as it is given here:
   * `(argument) => Problem`, or a promise of it.
   */
  module: string | URL;
  /** What that is called with; sent as JSON. */
  argument?: unknown;
  /** How many there are at most; default: as many as kernels may use threads. The threads are shared out among them. */
  count?: number;
}

/** A run that is done. */
export interface MemberRecord {
  /** Its folder below `out`: `teacher`, `seed-0/distilled`. */
  name: string;
  epochs: number;
  /** On the validation set. */
  best: BestEpoch;
  /** That it took in this call. */
  seconds: number;
}

/** How a comparison or a sweep is kept, watched and stopped. */
export interface CompareControls {
  /** The folder for the result and, below it, a folder for each run. */
  out: string;
  /** Whether runs that are in `out` go on, and finished ones are taken as they are. */
  resume?: boolean;
  /** What `config.json` keeps beside the options. */
  about?: Readonly<Record<string, unknown>>;
  /** Trains side by side in processes; default: one run after the other, here. The figures are the same. */
  workers?: Workers;
  /** Stops all runs, each after the step that it is in and once its state is saved. The call ends with `ABORTED`. */
  signal?: AbortSignal;
  onProgress?: (progress: CompareProgress) => void;
  /** Called when a run is done. */
  onMember?: (member: MemberRecord) => void;
  /** Called with a line that a person would want to know. */
  onNote?: (text: string) => void;
}

/** What {@link compare} and {@link sweep} have in common. */
export interface TrialInput extends Problem, CompareControls, Omit<DistillationOptions, "teacherMode"> {
  /** Read once, when all training is done. */
  test: Dataset;
}

/** A checked input: problem, options with their defaults, and controls. */
export interface Trial {
  problem: SplitProblem;
  test: Dataset;
  options: ResolvedDistillation;
  /** How many times as many parameters as the student the teacher has that is trained first. */
  teacherRatio: number;
  controls: CompareControls &
    Required<Pick<CompareControls, "resume" | "signal" | "onProgress" | "onMember" | "onNote">>;
}

/** Checks what both have in common. */
export function readTrial(input: TrialInput): Trial {
  const { teacher, student, data, validation, test, ...more } = input;
  const { out, resume, about, workers, signal, onProgress, onMember, onNote, ...rest } = more;
  const options = readOptions(distillationSchema, rest);
  if (options.teacherMode === "train") {
    throw new DistilleryError("BAD_ARGUMENT", 'teacherMode: expected "eval": the students are to get the same answers');
  }
  const problem = splitProblem({ teacher, student, data, ...(validation !== undefined && { validation }) });
  expectDataset("test", test);
  expectLike(problem.data, "test", test);
  if (typeof out !== "string" || out === "") {
    throw new DistilleryError("BAD_ARGUMENT", `out: expected a folder, got ${show(out)}`);
  }
  if (workers !== undefined) expectWorkers(workers, options);
  return {
    ...{ problem, test, options, teacherRatio: ratioOf(problem) },
    controls: {
      ...{ out, resume: resume ?? false, signal: signal ?? new AbortController().signal },
      ...(about && { about }),
      ...(workers && { workers }),
      onProgress: onProgress ?? (() => {}),
      onMember: onMember ?? (() => {}),
      onNote: onNote ?? (() => {}),
    },
  };
}

function ratioOf({ teacher, student }: SplitProblem): number {
  const [large, small] = withGenerator(new Generator(), () => [
    typeof teacher === "function" ? teacher() : teacher,
    student(),
  ]);
  expectModule("teacher()", large);
  expectModule("student()", small);
  return large.parameterCount() / Math.max(1, small.parameterCount());
}

function expectWorkers({ module, count }: Workers, { schedule }: ResolvedDistillation): void {
  if (typeof module !== "string" && !(module instanceof URL)) {
    throw new DistilleryError("BAD_ARGUMENT", `workers.module: expected a module's address, got ${show(module)}`);
  }
  if (count !== undefined) expectInteger("workers.count", count, 1);
  if (typeof schedule !== "function") return;
  const text =
    "schedule: a function can't be sent to another process: leave workers out, or give a schedule by its name";
  throw new DistilleryError("BAD_ARGUMENT", text);
}

/** The seeds of a comparison: so many from 0, or those of a list, each once. */
export function readSeeds(seeds: number | readonly number[]): number[] {
  if (!Array.isArray(seeds)) return Array.from({ length: expectInteger("seeds", seeds, 1, 1000) }, (_, i) => i);
  return expectList("seeds", seeds, (name, seed) => expectInteger(name, seed, 0));
}

/** A list of at least one value, each once. */
export function expectList(name: string, values: unknown, check: (name: string, value: unknown) => number): number[] {
  if (!Array.isArray(values) || values.length === 0) {
    throw new DistilleryError("BAD_ARGUMENT", `${name}: expected a list of numbers, got ${show(values)}`);
  }
  const checked = values.map((value, i) => check(`${name}[${i}]`, value));
  const again = checked.findIndex((value, i) => checked.indexOf(value) < i);
  if (again < 0) return checked;
  throw new DistilleryError("BAD_ARGUMENT", `${name}[${again}]: expected each once, got ${checked[again]} again`);
}
