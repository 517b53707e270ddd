import {
  argumentError,
  badArgument,
  expectFlags,
  expectNumber,
  expectOneOf,
  expectOptions,
  expectShape,
  withDefaults,
} from "../checks.js";
import { hasTargets, type OfTask, taskNameOf } from "../data/task_name.js";
import { expectModule } from "../nn/expect_module.js";
import { expectOutput } from "../nn/expect_output.js";
import { inputsFor } from "../nn/inputs_for.js";
import { Module } from "../nn/module.js";
import { logsumexp, stack } from "../ops/index.js";
import { Tensor } from "../tensor/tensor.js";

/** How several networks' logits become one. */
export interface AverageOptions {
  /**
   * What is averaged: the logits, or the probabilities of classes at temperature 1, whose logarithm is then the output.
   * Default `logits`.
   */
  average?: "logits" | "probabilities";
  /** The weight of each network, above 0; they are scaled to sum to 1. Default: equal. */
  weights?: readonly number[];
  /**
   * Whether a network's weight for a sample is also multiplied by its confidence, its highest probability for the
   * sample at temperature 1. Default false.
   */
  byConfidence?: boolean;
}

/** What can be averaged, for `average`. */
export const AVERAGES = ["logits", "probabilities"] as const;
/** The defaults of {@link AverageOptions}. */
export const AVERAGE_DEFAULTS = { average: "logits", byConfidence: false } as const;

/** {@link AverageOptions}, checked, with a weight for each and a sum of 1. */
export type Averaging = Required<AverageOptions>;

/** Checks how the logits of `count` networks are averaged; `BAD_ARGUMENT` that names the option. */
export function resolveAverage(options: AverageOptions, count: number): Averaging {
  expectOptions("options", options, ["average", "weights", "byConfidence"]);
  const { average, byConfidence } = withDefaults(AVERAGE_DEFAULTS, options);
  expectOneOf("average", average, AVERAGES);
  expectFlags({ byConfidence });
  const { weights = Array.from({ length: count }, () => 1) } = options;
  if (!Array.isArray(weights) || weights.length !== count) {
    throw badArgument("weights", `a list of ${count} numbers`, weights);
  }
  for (const [i, weight] of weights.entries()) {
    expectNumber(`weights[${i}]`, weight, (w) => w > 0, "a number above 0: leave a teacher out that is not to count");
  }
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return { average, byConfidence, weights: weights.map((weight) => weight / sum) };
}

/** Refuses to average by probabilities if the outputs are not those of classes; the `BAD_ARGUMENT` names the option. */
export function expectAverageOf(data: OfTask, { average, byConfidence }: Averaging): void {
  if (!hasTargets(data) || (average === "logits" && !byConfidence)) return;
  const text = `probabilities are of classes, and the data are for ${taskNameOf(data)}: leave it out`;
  throw argumentError(byConfidence ? "byConfidence" : "average", text);
}

/** Logits of several networks for the same samples, all [n, classes], as one; every operation can be traced. */
export function averageLogits(logits: readonly Tensor[], { average, weights, byConfidence }: Averaging): Tensor {
  const [first, ...others] = logits;
  for (const [i, { shape }] of others.entries()) expectShape(`logits of networks[${i + 1}]`, shape, first.shape);
  if (!byConfidence) {
    if (average === "logits") return sum(logits.map((one, i) => one.mul(weights[i])));
    return logsumexp(stack(logits.map((one, i) => one.logSoftmax().add(Math.log(weights[i])))), 0);
  }
  const confidences = logits.map((one, i) => one.softmax().max(-1, true).values.mul(weights[i]));
  const shares = confidences.map((one) => one.div(sum(confidences)));
  if (average === "logits") return sum(logits.map((one, i) => one.mul(shares[i])));
  return logsumexp(stack(logits.map((one, i) => one.logSoftmax().add(shares[i].log()))), 0);
}

const sum = (terms: readonly Tensor[]): Tensor => terms.reduce((total, term) => total.add(term));

/**
 * Several networks as one, whose logits [n, classes] are the average of theirs. State dict keys: those of the networks
 * under `networks.0`, `networks.1`, ..., and the weights as a buffer whose name says what is averaged.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for fewer than two networks and options out of range; `SHAPE_MISMATCH` in
 * `forward` if the networks' classes differ.
 * @example
 * ```ts
 * const ensemble = new Ensemble([first, second], { average: "probabilities", weights: [2, 1] });
 * console.log(evaluate(ensemble, test).accuracy);
 * ```
 */
export class Ensemble extends Module {
  readonly networks: readonly Module[];
  readonly #averaging: Averaging;
  readonly #weights: Tensor;

  constructor(networks: readonly Module[], options: AverageOptions = {}) {
    super();
    if (!Array.isArray(networks) || networks.length < 2) {
      throw badArgument("networks", "two networks or more", networks);
    }
    for (const [i, network] of networks.entries()) expectModule(`networks[${i}]`, network);
    this.networks = [...networks];
    this.#averaging = resolveAverage(options, networks.length);
    const { average, byConfidence, weights } = this.#averaging;
    // In the state dict, so that its hash tells two averages of the same networks apart.
    const name = `${average}_weights${byConfidence ? "_by_confidence" : ""}`;
    this.#weights = this.registerBuffer(name, new Tensor(Float32Array.from(weights), [weights.length]));
  }

  /** Refuses data whose outputs are not averaged so; `BAD_ARGUMENT`. @internal */
  expectFor(data: OfTask): void {
    expectAverageOf(data, this.#averaging);
  }

  /** The same average of what `change` makes of each network; this one if that is nothing else. @internal */
  map(change: (network: Module, i: number) => Module): Ensemble {
    const networks = this.networks.map(change);
    if (networks.every((network, i) => network === this.networks[i])) return this;
    return new Ensemble(networks, { ...this.#averaging, weights: Array.from(this.#weights.data) });
  }

  override forward(x: Tensor): Tensor {
    const weights = Array.from(this.#weights.data);
    return averageLogits(
      this.networks.map((network, i) => expectOutput(`networks[${i}]`, network.forward(inputsFor(network, x)))),
      { ...this.#averaging, weights },
    );
  }
}
