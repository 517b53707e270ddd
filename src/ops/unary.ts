import { expectNumber, expectOptions } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { float, type OnnxBuilder, type OnnxNode } from "../tensor/onnx_node.js";
import type { Tensor } from "../tensor/tensor.js";
import { defineUnary, defineUnaryWith } from "./define_unary.js";
import { defineMethods } from "./methods.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** -x. `torch.neg`. */
    neg(): Tensor;
    /** |x|. `torch.abs`. */
    abs(): Tensor;
    /** e^x. `torch.exp`. */
    exp(): Tensor;
    /** The natural logarithm. `torch.log`. */
    log(): Tensor;
    /** log(1 + x), exact for small x. `torch.log1p`. */
    log1p(): Tensor;
    /** The square root. `torch.sqrt`. */
    sqrt(): Tensor;
    /** 1 / sqrt(x). `torch.rsqrt`. */
    rsqrt(): Tensor;
    /** The hyperbolic tangent. `torch.tanh`. */
    tanh(): Tensor;
    /** 1 / (1 + e^-x). `torch.sigmoid`. */
    sigmoid(): Tensor;
    /** x limited to [min, max]; leave one out with null. `torch.clamp`. */
    clamp(min: number | null, max?: number | null): Tensor;
  }
}

/** -x. `torch.neg`. */
export const neg = defineUnary("neg", "Neg");

/** |x|; the gradient at 0 is 0. `torch.abs`. */
export const abs = defineUnary("abs", "Abs");

/** e^x. `torch.exp`. */
export const exp = defineUnary("exp", "Exp");

/** The natural logarithm. `torch.log`. */
export const log = defineUnary("log", "Log");

/** log(1 + x), exact for small x. `torch.log1p`. */
export const log1p = defineUnary("log1p", (x, builder) => ({
  type: "Log",
  inputs: [builder.node({ type: "Add", inputs: [x, builder.scalar("one", 1)] })],
}));

/** The square root. `torch.sqrt`. */
export const sqrt = defineUnary("sqrt", "Sqrt");

/** The square root, whose gradient at 0 is 0, as PyTorch has it inside of std and norm. */
export const root = defineUnary("root", "Sqrt");

/** 1 / sqrt(x). `torch.rsqrt`. */
export const rsqrt = defineUnary("rsqrt", (x, builder) => ({
  type: "Reciprocal",
  inputs: [builder.node({ type: "Sqrt", inputs: [x] })],
}));

/** The hyperbolic tangent. `torch.tanh`. */
export const tanh = defineUnary("tanh", "Tanh");

/** 1 / (1 + e^-x). `torch.sigmoid`. */
export const sigmoid = defineUnary("sigmoid", "Sigmoid");

/** log(sigmoid(x)). `torch.nn.functional.logsigmoid`. */
export const logSigmoid = defineUnary("logSigmoid", (x, builder) => ({
  type: "Neg",
  inputs: [builder.node({ type: "Softplus", inputs: [builder.node({ type: "Neg", inputs: [x] })] })],
}));

/** x sigmoid(x). `torch.nn.functional.silu`. */
export const silu = defineUnary("silu", (x, builder) => ({
  type: "Mul",
  inputs: [x, builder.node({ type: "Sigmoid", inputs: [x] })],
}));

/** x min(max(x + 3, 0), 6) / 6 (Howard et al., 2019). `torch.nn.functional.hardswish`. */
export const hardswish = defineUnary("hardswish", (x, builder) => {
  const gate = { type: "HardSigmoid", inputs: [x], attributes: [float("alpha", 1 / 6), float("beta", 0.5)] };
  return { type: "Mul", inputs: [x, builder.node(gate)] };
});

const leaky = defineUnaryWith("leakyRelu", (x, _, { a: slope }) => ({
  type: "LeakyRelu",
  inputs: [x],
  attributes: [float("alpha", slope)],
}));

/** x above 0, and `negativeSlope` times x elsewhere. `torch.nn.functional.leaky_relu`. */
export function leakyRelu(x: Tensor, negativeSlope = 0.01): Tensor {
  expectNumber("leakyRelu: negativeSlope", negativeSlope, () => true, "a finite number");
  return leaky(x, { a: negativeSlope, b: 0 });
}

/** x log(x), which is 0 at 0. `torch.xlogy(x, x)`. */
export const xLogX = defineUnary("xLogX");

const geluErf = defineUnary("gelu", (x, builder) => {
  const scaled = builder.node({ type: "Mul", inputs: [x, builder.scalar("scale", Math.SQRT1_2)] });
  return halfTimesOnePlus(x, builder.node({ type: "Erf", inputs: [scaled] }), builder);
});

const geluTanh = defineUnary("geluTanh", (x, builder) => {
  const mul = (a: string, b: string) => builder.node({ type: "Mul", inputs: [a, b] });
  const cube = mul(mul(mul(x, x), x), builder.scalar("cube", 0.044715));
  const inner = mul(builder.node({ type: "Add", inputs: [x, cube] }), builder.scalar("scale", Math.sqrt(2 / Math.PI)));
  return halfTimesOnePlus(x, builder.node({ type: "Tanh", inputs: [inner] }), builder);
});

function halfTimesOnePlus(x: string, y: string, builder: OnnxBuilder): OnnxNode {
  const half = builder.node({ type: "Mul", inputs: [x, builder.scalar("half", 0.5)] });
  return {
    type: "Mul",
    inputs: [half, builder.node({ type: "Add", inputs: [y, builder.scalar("one", 1)] })],
  };
}

/** x times the chance that a standard normal is below x, or its approximation by tanh. `torch.nn.functional.gelu`. */
export function gelu(x: Tensor, options: { approximate?: "none" | "tanh" } = {}): Tensor {
  expectOptions("gelu", options, ["approximate"]);
  const { approximate = "none" } = options;
  if (approximate === "none") return geluErf(x);
  if (approximate === "tanh") return geluTanh(x);
  throw new DistilleryError("BAD_ARGUMENT", `gelu: approximate: expected "none" or "tanh", got ${String(approximate)}`);
}

const limit = defineUnaryWith("clamp", (x, builder, { a, b }) => ({
  type: "Clip",
  inputs: [x, builder.scalar("min", a), builder.scalar("max", b)],
}));

/** x limited to [min, max]; leave one out with null. The gradient is 0 outside and at the bounds. `torch.clamp`. */
export function clamp(x: Tensor, min: number | null, max: number | null = null): Tensor {
  if (min === null && max === null) throw new DistilleryError("BAD_ARGUMENT", "clamp: expected min, max or both");
  const bound = (name: string, value: number) => expectNumber(`clamp: ${name}`, value, () => true, "a finite number");
  const a = min === null ? Number.NEGATIVE_INFINITY : bound("min", min);
  return limit(x, { a, b: max === null ? Number.POSITIVE_INFINITY : bound("max", max) });
}

defineMethods({ neg, abs, exp, log, log1p, sqrt, rsqrt, tanh, sigmoid, clamp });
