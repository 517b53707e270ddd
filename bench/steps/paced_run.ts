import { DistilleryError, distill, type StepRecord, trainTeacher, withGenerator } from "distillery";
import { EXAMPLES, SCHEDULE, type StepSetup, start, teacherAs } from "./setup.js";

/**
 * A run of the library's own loops, `distill` and `trainTeacher`, that waits after each epoch until the next one is
 * requested: what is timed is what a user of these functions gets.
 *
 * @example
 * ```ts
 * const run = await PacedRun.start({ mode: "cached", rows: 64, width: 1 });
 * const msPerStep = await run.epoch();
 * await run.stop();
 * ```
 */
export class PacedRun {
  /** The losses of the first epoch, which is the warm-up. */
  readonly losses: number[] = [];
  readonly stepsPerEpoch: number;
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;
  #arrive: () => void = () => {};
  #leave: () => void = () => {};

  private constructor(setup: StepSetup) {
    this.stepsPerEpoch = EXAMPLES / setup.rows;
    this.#ended = this.#train(setup).catch((error: unknown) => {
      if (!(error instanceof DistilleryError && error.code === "ABORTED")) throw error;
    });
  }

  /** Starts a run, and waits for its first epoch. */
  static async start(setup: StepSetup): Promise<PacedRun> {
    const run = new PacedRun(setup);
    await run.#arrival();
    return run;
  }

  /** Makes the steps of `epochs` epochs; gives the milliseconds that one step took. */
  async epoch(epochs = 1): Promise<number> {
    const begun = performance.now();
    for (let i = 0; i < epochs; i++) {
      const arrival = this.#arrival();
      this.#leave();
      await arrival;
    }
    return (performance.now() - begun) / (epochs * this.stepsPerEpoch);
  }

  /** Ends the run. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#leave();
    await this.#ended;
  }

  /** Waits until the epoch that runs is done; throws what the run threw. */
  #arrival(): Promise<void> {
    const arrived = new Promise<void>((resolve) => {
      this.#arrive = resolve;
    });
    return Promise.race([arrived, this.#ended]);
  }

  async #train(setup: StepSetup): Promise<void> {
    const { mode, rows } = setup;
    const { teacher, student, data, generator } = start(setup);
    const { maxLr: lr, ...schedule } = SCHEDULE;
    const run = {
      ...schedule,
      lr,
      data,
      batchSize: rows,
      shuffle: false,
      signal: this.#abort.signal,
      onStep: ({ metrics: { loss } }: StepRecord) => {
        if (this.losses.length < this.stepsPerEpoch) this.losses.push(loss);
      },
      onEpoch: () =>
        new Promise<void>((resolve) => {
          this.#leave = resolve;
          this.#arrive();
        }),
    };
    await withGenerator(generator, () => {
      if (student === null) return trainTeacher({ ...run, model: teacher });
      const teacherMode = mode === "train" ? "train" : "eval";
      const network = teacherAs(teacher, setup.teacherClass).freeze();
      return distill({ ...run, teacher: network, student, teacherMode, teacherCache: mode === "cached" });
    });
  }
}
