import * as v from "valibot";
import { BatchNorm1d } from "../nn/batch_norm.js";
import { LayerNorm } from "../nn/layer_norm.js";
import { Dropout } from "../nn/layers.js";
import { forwardRelu, Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { gelu, relu, sigmoid, silu, tanh } from "../ops/index.js";
import { described, fractionBelow1, length, list, oneOf, parseOptions } from "../registry/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { asRows, defineNetwork, features } from "./network.js";

const ACTIVATIONS = { relu, tanh, gelu, silu, sigmoid } satisfies Record<string, (x: Tensor) => Tensor>;
type Activation = keyof typeof ACTIVATIONS;
const ACTIVATION_NAMES = Object.keys(ACTIVATIONS) as [Activation, ...Activation[]];
/** By name: what makes the layer of a width, and the first part of its state dict keys. */
const NORMS = {
  none: { key: "", create: () => null },
  batch: { key: "bn", create: (width: number) => new BatchNorm1d(width) },
  layer: { key: "ln", create: (width: number) => new LayerNorm(width) },
} satisfies Record<string, { key: string; create: (width: number) => Module | null }>;
type Norm = keyof typeof NORMS;
const NORM_NAMES = Object.keys(NORMS) as [Norm, ...Norm[]];

const OPTIONS = {
  hidden: described(v.optional(list(length(), "a list of widths", 0), [512, 256]), "widths of the hidden layers"),
  dropout: described(v.optional(fractionBelow1(), 0), "probability that a hidden value is set to zero"),
  norm: described(v.optional(oneOf(NORM_NAMES), "none"), `after each hidden product: ${NORM_NAMES.join(", ")}`),
  activation: described(v.optional(oneOf(ACTIVATION_NAMES), "relu"), `one of ${ACTIVATION_NAMES.join(", ")}`),
};

/** The arguments of {@link Mlp}. */
export interface MlpOptions {
  inFeatures: number;
  classes: number;
  /** Widths of the hidden layers; an empty list makes a linear classifier. Default `[512, 256]`. */
  hidden?: readonly number[];
  /** The probability that dropout after each hidden layer sets a value to zero; default 0: no dropout. */
  dropout?: number;
  /** What follows each hidden layer's product: `batch` for BatchNorm1d, `layer` for LayerNorm; default `none`. */
  norm?: Norm;
  /** Default `relu`. */
  activation?: Activation;
}

/**
 * A multilayer perceptron: for each hidden layer Linear, normalisation, activation and dropout, then a Linear to the
 * logits. x [rows, ...] with `inFeatures` values a row to logits [rows, classes]. State dict keys: `fc1.weight`,
 * `fc1.bias`, `bn1.weight` or `ln1.weight`, ..., `fc2.weight`, ...
 *
 * @example
 * ```ts
 * const student = new Mlp({ inFeatures: 784, hidden: [128, 64], activation: "relu", classes: 10 });
 * ```
 */
export class Mlp extends Module {
  readonly #layers: { linear: Linear; norm: Module | null; dropout: Dropout | null }[];
  readonly #output: Linear;
  readonly #activation: Activation;
  readonly #norm: Norm;

  constructor(options: MlpOptions) {
    super();
    const schemas = { ...OPTIONS, inFeatures: length(), classes: length() };
    const { inFeatures, hidden, dropout, norm, activation, classes } = parseOptions("Mlp", schemas, options);
    this.#layers = hidden.map((width, i) => ({
      linear: new Linear(i === 0 ? inFeatures : hidden[i - 1], width),
      norm: NORMS[norm].create(width),
      dropout: dropout > 0 ? new Dropout(dropout) : null,
    }));
    this.#output = new Linear(hidden.at(-1) ?? inFeatures, classes);
    this.#activation = activation;
    this.#norm = norm;
  }

  override namedChildren(): [string, Module][] {
    const hidden = this.#layers.flatMap(({ linear, norm, dropout }, i): [string, Module | null][] => [
      [`fc${i + 1}`, linear],
      [`${NORMS[this.#norm].key}${i + 1}`, norm],
      [`dropout${i + 1}`, dropout],
    ]);
    const all: [string, Module | null][] = [...hidden, [`fc${this.#layers.length + 1}`, this.#output]];
    return all.filter((child): child is [string, Module] => child[1] !== null);
  }

  override forward(x: Tensor): Tensor {
    let h = asRows(x);
    for (const { linear, norm, dropout } of this.#layers) {
      if (norm !== null) h = linear.forward(h);
      const last = norm ?? linear;
      h = this.#activation === "relu" ? forwardRelu(last, h) : ACTIVATIONS[this.#activation](last.forward(h));
      if (dropout !== null) h = dropout.forward(h);
    }
    return this.#output.forward(h);
  }

  override extraRepr(): string {
    return `activation=${this.#activation}`;
  }
}

export const mlp = defineNetwork({
  name: "mlp",
  help: "multilayer perceptron: hidden layers with normalisation, activation and dropout",
  options: OPTIONS,
  size: { parameters: 535_818, multiplyAdds: 535_040, shape: [1, 28, 28], classes: 10 },
  create: (options, context) => new Mlp({ ...options, inFeatures: features(context), classes: context.classes }),
});
