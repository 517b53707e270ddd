import { DistilleryError, distill, type StepRecord, trainTeacher, withGenerator } from "distillery";
import { EXAMPLES, SCHEDULE, type StepSetup, start, teacherAs } from "./setup.js";

/** Turns that pass before the first one is timed. */
const WARM_TURNS = 15;

/** What a run is paced by. */
interface PacedControls {
  readonly signal: AbortSignal;
  readonly onStep: (record: StepRecord) => void;
  readonly onEpoch: () => Promise<void>;
}

/** Steps that are made some epochs at a time. */
export interface Paced {
  /** The losses of the first epoch, which is the warm-up; none if there are no losses. */
  readonly losses: readonly number[];
  readonly stepsPerEpoch: number;
  /** Makes the steps of `epochs` epochs; gives the milliseconds that one step took. */
  epoch(epochs?: number): Promise<number>;
  stop(): Promise<void>;
}

/** Calls of a function as steps, an epoch each. */
export function pacedCalls(call: () => unknown): Paced {
  return {
    losses: [],
    stepsPerEpoch: 1,
    async epoch(epochs = 1) {
      const begun = performance.now();
      for (let i = 0; i < epochs; i++) call();
      return (performance.now() - begun) / epochs;
    },
    async stop() {},
  };
}

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
export class PacedRun implements Paced {
  readonly losses: number[] = [];
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;
  #arrive: () => void = () => {};
  #leave: () => void = () => {};

  private constructor(
    readonly stepsPerEpoch: number,
    train: (controls: PacedControls) => Promise<unknown>,
  ) {
    const ended = train({
      signal: this.#abort.signal,
      // An older version, which `--against` measures, may have no metrics: its losses are compared with nothing.
      onStep: ({ metrics }: Partial<StepRecord>) => {
        if (this.losses.length < this.stepsPerEpoch) this.losses.push(metrics?.loss ?? Number.NaN);
      },
      onEpoch: () =>
        new Promise<void>((resolve) => {
          this.#leave = resolve;
          this.#arrive();
        }),
    });
    this.#ended = ended.then(
      () => {},
      (error: unknown) => {
        if (!(error instanceof DistilleryError && error.code === "ABORTED")) throw error;
      },
    );
  }

  /** Starts a run of the script's, and waits for its first epoch. */
  static start(setup: StepSetup): Promise<PacedRun> {
    return PacedRun.of(EXAMPLES / setup.rows, (controls) => scriptRun(setup, controls));
  }

  /** Starts any run, which passes the controls on, and waits for its first epoch. */
  static async of(stepsPerEpoch: number, train: (controls: PacedControls) => Promise<unknown>): Promise<PacedRun> {
    const run = new PacedRun(stepsPerEpoch, train);
    await run.#arrival();
    return run;
  }

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
}

function scriptRun(setup: StepSetup, controls: PacedControls): Promise<unknown> {
  const { mode, rows, precision } = setup;
  const { teacher, student, data, generator } = start(setup);
  const { maxLr: lr, ...schedule } = SCHEDULE;
  const run = { ...schedule, ...controls, lr, data, batchSize: rows, shuffle: false, precision };
  return withGenerator(generator, () => {
    if (student === null) return trainTeacher({ ...run, model: teacher });
    const teacherMode = mode === "train" ? "train" : "eval";
    const network = teacherAs(teacher, setup.teacherClass).freeze();
    return distill({ ...run, teacher: network, student, teacherMode, teacherCache: mode === "cached" });
  });
}

/** The number of epochs that take about that many milliseconds. */
export async function epochsFor(run: Paced, milliseconds: number): Promise<number> {
  const ms = await run.epoch();
  return Math.max(1, Math.round(milliseconds / (ms * run.stepsPerEpoch)));
}

/**
 * Makes steps until V8 has compiled what they call: a convolutional network takes dozens of them. Gives how many.
 */
export async function warmUp(run: Paced, turnMs: number): Promise<number> {
  const epochs = await epochsFor(run, WARM_TURNS * turnMs);
  await run.epoch(epochs);
  return epochs * run.stepsPerEpoch;
}
