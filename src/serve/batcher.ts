import type { Tensor } from "../tensor/tensor.js";

/** Inputs that wait for their predictions. */
interface Waiting<P> {
  readonly inputs: Tensor;
  readonly resolve: (predictions: P[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Computes inputs that arrive together as one batch: all inputs that arrived during the last batch, or in one turn of
 * the event loop, in one forward pass of at most `most` samples. The result for a sample does not depend on the others.
 */
export class Batcher<P> {
  #waiting: Waiting<P>[] = [];

  constructor(
    readonly predict: (inputs: Tensor) => P[],
    readonly join: (parts: readonly Tensor[]) => Tensor,
    readonly most: number,
  ) {}

  /** The predictions for inputs [n, ...]. */
  add(inputs: Tensor): Promise<P[]> {
    return new Promise((resolve, reject) => {
      // After all data that have arrived are read.
      if (this.#waiting.length === 0) setImmediate(() => this.#run());
      this.#waiting.push({ inputs, resolve, reject });
    });
  }

  #run(): void {
    const waiting = this.#next();
    if (this.#waiting.length > 0) setImmediate(() => this.#run());
    try {
      this.#answer(waiting);
    } catch (error) {
      // Some samples can't be computed: then each input is computed alone.
      for (const one of waiting) {
        try {
          if (waiting.length === 1) throw error;
          this.#answer([one]);
        } catch (own) {
          one.reject(own);
        }
      }
    }
  }

  /** Takes the first input, and those after it that fit into its pass. */
  #next(): readonly Waiting<P>[] {
    let samples = 0;
    const end = this.#waiting.findIndex(({ inputs }, i) => {
      samples += inputs.shape[0];
      return i > 0 && samples > this.most;
    });
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
  }

  #answer(waiting: readonly Waiting<P>[]): void {
    const inputs = waiting.length === 1 ? waiting[0].inputs : this.join(waiting.map(({ inputs }) => inputs));
    const predictions = this.predict(inputs);
    let at = 0;
    for (const { inputs, resolve } of waiting) {
      const end = at + inputs.shape[0];
      resolve(predictions.slice(at, end));
      at = end;
    }
  }
}
