/** A number that only grows, for each value of a label. */
class Counter {
  readonly #values = new Map<string, number>();

  add(label: string, by = 1): void {
    this.#values.set(label, (this.#values.get(label) ?? 0) + by);
  }

  lines(name: string): string[] {
    return [...this.#values].map(([label, value]) => `${name}${label} ${value}`);
  }
}

/** A histogram: how many values were at most as large as each bound. */
class Histogram {
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  constructor(readonly bounds: readonly number[]) {
    this.#counts = bounds.map(() => 0);
  }

  add(value: number): void {
    this.#sum += value;
    this.#count += 1;
    for (const [i, bound] of this.bounds.entries()) if (value <= bound) this.#counts[i] += 1;
  }

  lines(name: string): string[] {
    const buckets = this.bounds.map((bound, i) => `${name}_bucket{le="${bound}"} ${this.#counts[i]}`);
    return [
      ...buckets,
      `${name}_bucket{le="+Inf"} ${this.#count}`,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${this.#count}`,
    ];
  }
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000];

/** The metrics of a server in Prometheus' text format 0.0.4. */
export class RequestMetrics {
  readonly #requests = new Counter();
  readonly #samples = new Counter();
  readonly #seconds = new Histogram(SECONDS);
  readonly #batches = new Histogram(SIZES);

  /** A request for predictions was answered with `status` after `seconds`. */
  request(status: number, seconds: number): void {
    this.#requests.add(`{status="${status}"}`);
    this.#seconds.add(seconds);
  }

  /** The network computed `samples` samples at once. */
  batch(samples: number): void {
    this.#samples.add("", samples);
    this.#batches.add(samples);
  }

  text(inFlight: number): string {
    const part = (name: string, type: string, help: string, lines: (name: string) => string[]) => {
      const full = `distillery_${name}`;
      return [`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`, ...lines(full)];
    };
    return [
      ...part("requests_total", "counter", "Requests for predictions, by status.", (name) =>
        this.#requests.lines(name),
      ),
      ...part("request_seconds", "histogram", "Time from a request to its answer.", (name) =>
        this.#seconds.lines(name),
      ),
      ...part("requests_in_flight", "gauge", "Requests without an answer yet.", (name) => [`${name} ${inFlight}`]),
      ...part("samples_total", "counter", "Samples that the network computed.", (name) => this.#samples.lines(name)),
      ...part("batch_size", "histogram", "Samples that were computed at once.", (name) => this.#batches.lines(name)),
      "",
    ].join("\n");
  }
}
