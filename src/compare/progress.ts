/** How far a comparison or a sweep is. */
export interface CompareProgress {
  /** Steps done and steps in all, over all runs; a step of the teacher counts as many times as it has more parameters. */
  done: number;
  total: number;
  /** The run that made the last step: `seed-0/distilled`. */
  member: string;
  /** The runs that go on now. */
  running: string[];
}

/** Adds up the steps of runs that go on side by side. */
export class Tally {
  readonly #runs = new Map<string, { steps: number; weight: number; done: number }>();

  constructor(private readonly onProgress: (progress: CompareProgress) => void) {}

  /** Counts a run of so many steps in. */
  add(name: string, steps: number, weight: number): void {
    this.#runs.set(name, { steps, weight, done: 0 });
  }

  /** A run has done so many steps. */
  update(name: string, done: number): void {
    const run = this.#runs.get(name);
    if (run === undefined) return;
    run.done = done;
    this.onProgress({ ...this.#sums(), member: name, running: this.#running() });
  }

  /** A run has come to its end, early or not. */
  finish(name: string): void {
    this.update(name, this.#runs.get(name)?.steps ?? 0);
  }

  #running(): string[] {
    return [...this.#runs].flatMap(([name, { done, steps }]) => (done > 0 && done < steps ? [name] : []));
  }

  #sums(): { done: number; total: number } {
    const runs = [...this.#runs.values()];
    const sum = (of: "done" | "steps") => runs.reduce((total, run) => total + run.weight * run[of], 0);
    return { done: sum("done"), total: sum("steps") };
  }
}
