import type { Budget } from "./measure.js";

/** How much is measured, and for how long. */
export interface Extent {
  /** The time for a kernel. */
  readonly kernel: Budget;
  /** Timed steps in plain TypeScript. */
  readonly plainSteps: number;
  /** Turns of a step with one thread and with all. */
  readonly rounds: number;
  /** How long one such turn is, about. */
  readonly turnMs: number;
  readonly profiledEpochs: number;
  /** Epochs of a whole run; the script has 150. */
  readonly epochs: number;
  readonly starts: number;
  readonly batches: readonly number[];
  readonly widths: readonly number[];
  /** Turns with the peers, and whole runs with them. */
  readonly peerRounds: number;
  readonly peerRuns: number;
}

export const FULL: Extent = {
  kernel: { milliseconds: 400, leastRuns: 10 },
  plainSteps: 7,
  rounds: 15,
  turnMs: 200,
  profiledEpochs: 20,
  epochs: 150,
  starts: 7,
  batches: [16, 32, 64, 128, 256, 512, 1024],
  widths: [0.25, 0.5, 0.75, 1, 1.5, 2],
  peerRounds: 9,
  peerRuns: 3,
};

export const QUICK: Extent = {
  kernel: { milliseconds: 30, leastRuns: 2 },
  plainSteps: 2,
  rounds: 3,
  turnMs: 80,
  profiledEpochs: 2,
  epochs: 10,
  starts: 3,
  batches: [16, 64, 1024],
  widths: [0.5, 1, 2],
  peerRounds: 3,
  peerRuns: 1,
};
