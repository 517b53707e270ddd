import { argumentError, badArgument, expectAtLeast0, expectFinite, expectOneOf, expectOptions } from "../checks.js";
import { fillNormal, rand } from "../tensor/random.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";

/** What {@link calculateGain} knows. */
export type Nonlinearity = keyof typeof GAINS;

const GAINS = {
  linear: 1,
  conv1d: 1,
  conv2d: 1,
  sigmoid: 1,
  tanh: 5 / 3,
  relu: Math.SQRT2,
  leaky_relu: null,
  selu: 3 / 4,
} as const;
const NONLINEARITIES = Object.keys(GAINS) as Nonlinearity[];

/** The options of {@link kaimingUniform} and {@link kaimingNormal}, with PyTorch's defaults. */
interface KaimingOptions {
  /** The negative slope of `leaky_relu`; default 0. */
  a?: number;
  /** Whether the variance is kept forward, by the inputs of a unit, or backward, by its outputs; default `fan_in`. */
  mode?: "fan_in" | "fan_out";
  /** What follows the layer; default `leaky_relu`. */
  nonlinearity?: Nonlinearity;
}

/**
 * Sets every element to a number. `torch.nn.init.constant_`, `zeros_`, `ones_`.
 *
 * @example
 * ```ts
 * const layer = new Linear(784, 10);
 * if (layer.bias !== null) init.constant(layer.bias, 0);
 * ```
 */
export function constant<T extends Tensor>(x: T, value: number): T {
  expectTensor("constant: x", x);
  expectFinite("constant: value", value);
  x.data.fill(value);
  x.noteChange();
  return x;
}

/**
 * Draws uniforms of [a, b). `torch.nn.init.uniform_`.
 *
 * @example
 * ```ts
 * init.uniform(new Linear(784, 10).weight, -0.1, 0.1);
 * ```
 */
export function uniform<T extends Tensor>(x: T, a = 0, b = 1): T {
  expectTensor("uniform: x", x);
  x.data.set(rand(x.shape, a, b).data);
  x.noteChange();
  return x;
}

/**
 * Draws normals with a mean and a standard deviation. `torch.nn.init.normal_`.
 *
 * @example
 * ```ts
 * init.normal(new Embedding(1000, 64).weight, 0, 0.02);
 * ```
 */
export function normal<T extends Tensor>(x: T, mean = 0, std = 1): T {
  expectTensor("normal: x", x);
  expectFinite("normal: mean", mean);
  expectAtLeast0("normal: std", std);
  fillNormal(x.data, mean, std);
  x.noteChange();
  return x;
}

/**
 * Draws uniforms of variance gain² * 2 / (inputs + outputs) (Glorot and Bengio, 2010).
 * `torch.nn.init.xavier_uniform_`.
 *
 * @example
 * ```ts
 * init.xavierUniform(new Linear(784, 10).weight, { gain: init.calculateGain("tanh") });
 * ```
 */
export function xavierUniform<T extends Tensor>(x: T, options: { gain?: number } = {}): T {
  const bound = Math.sqrt(3) * xavierDeviation("xavierUniform", x, options);
  return uniform(x, -bound, bound);
}

/**
 * Draws normals of variance gain² * 2 / (inputs + outputs). `torch.nn.init.xavier_normal_`.
 *
 * @example
 * ```ts
 * init.xavierNormal(new Linear(784, 10).weight);
 * ```
 */
export function xavierNormal<T extends Tensor>(x: T, options: { gain?: number } = {}): T {
  return normal(x, 0, xavierDeviation("xavierNormal", x, options));
}

/**
 * Draws uniforms of variance gain² / inputs, or outputs (He et al., 2015). `torch.nn.init.kaiming_uniform_`.
 *
 * @example
 * ```ts
 * init.kaimingUniform(new Linear(784, 10).weight, { nonlinearity: "relu" });
 * ```
 */
export function kaimingUniform<T extends Tensor>(x: T, options: KaimingOptions = {}): T {
  const bound = Math.sqrt(3) * kaimingDeviation("kaimingUniform", x, options);
  return uniform(x, -bound, bound);
}

/**
 * Draws normals of variance gain² / inputs, or outputs. `torch.nn.init.kaiming_normal_`.
 *
 * @example
 * ```ts
 * network.apply((module) => {
 *   if (module instanceof Conv2d) init.kaimingNormal(module.weight, { mode: "fan_out", nonlinearity: "relu" });
 * });
 * ```
 */
export function kaimingNormal<T extends Tensor>(x: T, options: KaimingOptions = {}): T {
  return normal(x, 0, kaimingDeviation("kaimingNormal", x, options));
}

/**
 * What a layer's deviation is multiplied with for what follows it; `param` is the negative slope of `leaky_relu`.
 * `torch.nn.init.calculate_gain`.
 *
 * @example
 * ```ts
 * init.calculateGain("relu"); // 1.4142...
 * ```
 */
export function calculateGain(nonlinearity: Nonlinearity, param = 0.01): number {
  expectOneOf("nonlinearity", nonlinearity, NONLINEARITIES);
  expectFinite("param", param);
  return GAINS[nonlinearity] ?? Math.sqrt(2 / (1 + param ** 2));
}

function xavierDeviation(name: string, x: Tensor, options: { gain?: number }): number {
  expectOptions(name, options, ["gain"]);
  const { gain = 1 } = options;
  expectAtLeast0(`${name}: gain`, gain);
  const [inputs, outputs] = fans(name, x);
  return gain * Math.sqrt(2 / (inputs + outputs));
}

function kaimingDeviation(name: string, x: Tensor, options: KaimingOptions): number {
  expectOptions(name, options, ["a", "mode", "nonlinearity"]);
  const { a = 0, mode = "fan_in", nonlinearity = "leaky_relu" } = options;
  expectOneOf(`${name}: mode`, mode, ["fan_in", "fan_out"]);
  const [inputs, outputs] = fans(name, x);
  return calculateGain(nonlinearity, a) / Math.sqrt(mode === "fan_in" ? inputs : outputs);
}

/** How many inputs a unit of a weight [outputs, inputs, ...] has, and how many units read an input. */
function fans(name: string, x: Tensor): [inputs: number, outputs: number] {
  expectTensor(`${name}: x`, x);
  if (x.shape.length < 2) throw badArgument(`${name}: x`, "a shape [outputs, inputs, ...]", x.shape);
  if (x.size === 0) throw argumentError(`${name}: x`, "expected at least one element, got none");
  const [outputs, inputs, ...kernel] = x.shape;
  const positions = kernel.reduce((product, length) => product * length, 1);
  return [inputs * positions, outputs * positions];
}
