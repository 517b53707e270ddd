/** How well a network's confidence, the probability of the class that it predicts, tells how often it is right. */
export interface Calibration {
  /**
   * The expected calibration error (Guo et al., 2017), from 0 to 1: how far confidence and accuracy are apart in a bin,
   * averaged over the examples.
   */
  error: number;
  /** 15 bins of equal width over the confidence, from 0 to 1; each has its upper end. */
  bins: CalibrationBin[];
}

/** The examples whose confidence lies in a bin: its mean, and the share that is right; both 0 where there is none. */
export interface CalibrationBin {
  confidence: number;
  accuracy: number;
  count: number;
}

const BINS = 15;

/** Collects examples by their confidence. */
export class CalibrationCounts {
  readonly #bins = Array.from({ length: BINS }, () => ({ confidence: 0, right: 0, count: 0 }));

  add(confidence: number, right: boolean): void {
    // NaN, of a network whose answers are none, falls into the first, and shows in the error.
    const bin = this.#bins[Math.ceil(confidence * BINS) - 1 || 0] as {
      confidence: number;
      right: number;
      count: number;
    };
    bin.confidence += confidence;
    bin.right += Number(right);
    bin.count += 1;
  }

  report(): Calibration {
    const examples = this.#bins.reduce((sum, { count }) => sum + count, 0);
    const gaps = this.#bins.map(({ confidence, right }) => Math.abs(confidence - right));
    return {
      error: gaps.reduce((sum, gap) => sum + gap, 0) / examples,
      bins: this.#bins.map(({ confidence, right, count }) => {
        const mean = (sum: number) => (count === 0 ? 0 : sum / count);
        return { confidence: mean(confidence), accuracy: mean(right), count };
      }),
    };
  }
}
