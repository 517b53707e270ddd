import type { EpochRecord } from "../log/epoch_line.js";
import type { BestEpoch } from "../train/best.js";
import type { ResolvedDistillation } from "../train/options.js";

/** One run of a student: its folder below `out`, and all that tells it from the others. */
export interface Member {
  /** Such as `seed-0/distilled`. */
  readonly name: string;
  /** Whether it learns from the labels alone, or from the teacher too. */
  readonly kind: "alone" | "distilled";
  readonly seed: number;
  readonly options: ResolvedDistillation;
}

/** What a run of a comparison ends with; its weights stay in files. */
export interface Outcome {
  readonly history: EpochRecord[];
  /** The epoch that did best on the validation set. */
  readonly best: BestEpoch;
  /** The `.safetensors` files of the weights of the best and of the last epoch. */
  readonly files: { best: string; last: string };
}

/** Trains members, one at a time. */
export interface Trainer {
  /** Trains one, or finds it finished; `onStep` hears of the steps that are done. */
  train(member: Member, signal: AbortSignal, onStep: (done: number) => void): Promise<Outcome>;
  /** Ends what it runs in. */
  close(): void;
}
