import type { Group } from "./against/workloads.js";
import { TRAINED } from "./convolution.js";
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
  /** The convolutional networks that are trained, and whether passes of a frozen one are measured too. */
  readonly convolution: { readonly trained: readonly string[]; readonly passes: boolean; readonly rounds: number };
  /** Whether a step of a transformer is measured with the peers. */
  readonly transformer: boolean;
  /** What is compared with another commit. */
  readonly compared: readonly Group[];
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
  convolution: { trained: TRAINED, passes: true, rounds: 7 },
  transformer: true,
  compared: ["steps", "kernels", "convolution", "transformer", "inference"],
};

export const QUICK: Extent = {
  kernel: { milliseconds: 30, leastRuns: 2 },
  plainSteps: 2,
  rounds: 6,
  turnMs: 60,
  profiledEpochs: 2,
  epochs: 10,
  starts: 3,
  batches: [16, 64, 1024],
  widths: [0.5, 1, 2],
  peerRounds: 6,
  peerRuns: 1,
  convolution: { trained: TRAINED.slice(0, 1), passes: false, rounds: 2 },
  transformer: false,
  compared: ["steps", "inference"],
};
