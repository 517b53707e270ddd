import { native } from "./library.js";

/** A host that gives less than this share of the best peak of the run is busy with something else. */
const BUSY_BELOW = 0.8;

/** Whether the host gives this process its cores: by the arithmetic peak, against the best that the run has seen. */
export class Host {
  /** How often it was busy. */
  busy = 0;
  #best = 0;

  constructor(private readonly peak: () => number) {}

  /** Measures the peak, which takes 10 ms. */
  isBusy(): boolean {
    const rate = this.peak();
    this.#best = Math.max(this.#best, rate);
    const isBusy = rate < BUSY_BELOW * this.#best;
    if (isBusy) this.busy += 1;
    return isBusy;
  }

  /** A line on the rounds that were made again; null if none was. */
  note(): string | null {
    if (this.busy === 0) return null;
    return `the host was busy after ${this.busy} rounds (peak below ${100 * BUSY_BELOW}% of the best), which were made again as far as there was room`;
  }
}

/** The host of this run. */
export const host = new Host(() => native.peakRate());
