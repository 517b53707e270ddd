/**
 * The steps that are measured: the script's, with its teacher in train mode; the same with the teacher in eval mode, asked
 * at each step; the student's alone, the teacher's logits being known; and a step of the teacher's own training.
 */
export const MODES = ["train", "eval", "cached", "teacher"] as const;

/** One of {@link MODES}. */
export type Mode = (typeof MODES)[number];

/** What tables call them. */
export const TITLES: Readonly<Record<Mode, string>> = {
  train: "the script (teacher in train mode)",
  eval: "teacher in eval mode",
  cached: "teacher's logits known",
  teacher: "training of the teacher",
};

/** Which step, on batches of how many rows, of networks how many times as wide as the script's. */
export interface StepSetup {
  readonly mode: Mode;
  readonly rows: number;
  readonly width: number;
}

/** A mode as the script has it. */
export function scriptSetup(mode: Mode): StepSetup {
  return { mode, rows: 64, width: 1 };
}

/** The schedule of every measured run, long enough never to end; PyTorch and plain TypeScript have the same. */
export const SCHEDULE = { maxLr: 6e-4, epochs: 100_000, pctStart: 0.3, divFactor: 20, finalDivFactor: 100 } as const;

/** Of the script's data. */
export const EXAMPLES = 1024;
