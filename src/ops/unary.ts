import { argumentError, expectFinite, expectOneOf, expectOptions } from "../checks.js";
import type { JsFunction } from "../tensor/js_form.js";
import { float, int, type OnnxBuilder, type OnnxNode } from "../tensor/onnx_node.js";
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
export const neg = defineUnary("neg", "-v", "Neg");

/** |x|; the gradient at 0 is 0. `torch.abs`. */
export const abs = defineUnary("abs", "Math.abs(v)", "Abs");

/** e^x. `torch.exp`. */
export const exp = defineUnary("exp", "Math.exp(v)", "Exp");

/** The natural logarithm. `torch.log`. */
export const log = defineUnary("log", "Math.log(v)", "Log");

/** log(1 + x), exact for small x. `torch.log1p`. */
export const log1p = defineUnary("log1p", "Math.log1p(v)", (x, builder) => {
  const node = (type: string, ...inputs: string[]) => builder.node({ type, inputs });
  const one = builder.scalar("one", 1);
  // Of u = 1 + x, as it is rounded: x log(u) / (u - 1) (Kahan); x where u is 1, and of infinity.
  const u = node("Add", x, one);
  const rounded = node("Sub", u, one);
  const infinite = builder.node({ type: "IsInf", inputs: [x], attributes: [int("detect_negative", 0)] });
  const isItself = node("Or", node("Equal", rounded, builder.scalar("zero", 0)), infinite);
  return { type: "Where", inputs: [isItself, x, node("Mul", x, node("Div", node("Log", u), rounded))] };
});

/** The square root. `torch.sqrt`. */
export const sqrt = defineUnary("sqrt", "Math.sqrt(v)", "Sqrt");

/** The square root, whose gradient at 0 is 0, as PyTorch has it inside of std and norm. */
export const root = defineUnary("root", "Math.sqrt(v)", "Sqrt");

/** 1 / sqrt(x). `torch.rsqrt`. */
export const rsqrt = defineUnary("rsqrt", "1 / Math.sqrt(v)", (x, builder) => ({
  type: "Reciprocal",
  inputs: [builder.node({ type: "Sqrt", inputs: [x] })],
}));

/**
 * The hyperbolic tangent. `torch.tanh`.
 *
 * @throws DistilleryError `BAD_DTYPE` for what is no tensor.
 * @example
 * ```ts
 * F.tanh(tensor([0, 1])).toArray(); // [0, 0.7616...]
 * ```
 */
export const tanh = defineUnary("tanh", "Math.tanh(v)", "Tanh");

/**
 * 1 / (1 + e^-x). `torch.sigmoid`.
 *
 * @throws DistilleryError `BAD_DTYPE` for what is no tensor.
 * @example
 * ```ts
 * F.sigmoid(tensor([0, 2])).toArray(); // [0.5, 0.8808...]
 * ```
 */
export const sigmoid = defineUnary("sigmoid", "1 / (1 + Math.exp(-v))", "Sigmoid");

/**
 * log(sigmoid(x)), without underflow for x far below 0. `torch.nn.functional.logsigmoid`.
 *
 * @throws DistilleryError `BAD_DTYPE` for what is no tensor.
 * @example
 * ```ts
 * F.logSigmoid(tensor([0, -100])).toArray(); // [-0.6931..., -100]
 * ```
 */
export const logSigmoid = defineUnary(
  "logSigmoid",
  "Math.min(v, 0) - Math.log1p(Math.exp(-Math.abs(v)))",
  (x, builder) => ({
    type: "Neg",
    inputs: [builder.node({ type: "Softplus", inputs: [builder.node({ type: "Neg", inputs: [x] })] })],
  }),
);

/**
 * x sigmoid(x). `torch.nn.functional.silu`.
 *
 * @throws DistilleryError `BAD_DTYPE` for what is no tensor.
 * @example
 * ```ts
 * F.silu(tensor([-1, 0, 1])).toArray(); // [-0.2689..., 0, 0.7310...]
 * ```
 */
export const silu = defineUnary("silu", "v / (1 + Math.exp(-v))", (x, builder) => ({
  type: "Mul",
  inputs: [x, builder.node({ type: "Sigmoid", inputs: [x] })],
}));

/**
 * x min(max(x + 3, 0), 6) / 6 (Howard et al., 2019). `torch.nn.functional.hardswish`.
 *
 * @throws DistilleryError `BAD_DTYPE` for what is no tensor.
 * @example
 * ```ts
 * F.hardswish(tensor([-3, 1, 4])).toArray(); // [0, 0.6667, 4]
 * ```
 */
export const hardswish = defineUnary("hardswish", "(v * Math.min(Math.max(v + 3, 0), 6)) / 6", (x, builder) => {
  const gate = { type: "HardSigmoid", inputs: [x], attributes: [float("alpha", 1 / 6), float("beta", 0.5)] };
  return { type: "Mul", inputs: [x, builder.node(gate)] };
});

const leaky = defineUnaryWith(
  "leakyRelu",
  ({ a: slope }) => `v > 0 ? v : ${slope} * v`,
  (x, _, { a: slope }) => ({
    type: "LeakyRelu",
    inputs: [x],
    attributes: [float("alpha", slope)],
  }),
);

/**
 * x above 0, and `negativeSlope` times x elsewhere. `torch.nn.functional.leaky_relu`.
 *
 * @throws DistilleryError `BAD_DTYPE` for what is no tensor, `BAD_ARGUMENT` for a slope that is not finite.
 * @example
 * ```ts
 * F.leakyRelu(tensor([-2, 3]), 0.1).toArray(); // [-0.2, 3]
 * ```
 */
export function leakyRelu(x: Tensor, negativeSlope = 0.01): Tensor {
  expectFinite("leakyRelu: negativeSlope", negativeSlope);
  return leaky(x, { a: negativeSlope, b: 0 });
}

/** x log(x), which is 0 at 0. `torch.xlogy(x, x)`. */
export const xLogX = defineUnary("xLogX", "v === 0 ? 0 : v * Math.log(v)");

/** Numerical Recipes' fit (Press et al., section 6.2.2), relative error below 1.2e-7. */
const ERFC: JsFunction = {
  name: "erfc",
  source: `
/** The complementary error function 1 - erf(x), to a relative error of 1.2e-7. */
function erfc(x) {
  const z = Math.abs(x);
  const t = 2 / (2 + z);
  const coefficients = [
    0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368,
    -1.26551223,
  ];
  const y = t * Math.exp(-z * z + coefficients.reduce((sum, c) => sum * t + c, 0));
  return x >= 0 ? y : 2 - y;
}`,
};

const geluErf = defineUnary(
  "gelu",
  (_, { call }) => `0.5 * v * ${call(ERFC, "-v * Math.SQRT1_2")}`,
  (x, builder) => {
    const scaled = builder.node({ type: "Mul", inputs: [x, builder.scalar("scale", Math.SQRT1_2)] });
    return halfTimesOnePlus(x, builder.node({ type: "Erf", inputs: [scaled] }), builder);
  },
);

const geluTanh = defineUnary(
  "geluTanh",
  "0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))",
  (x, builder) => {
    const mul = (a: string, b: string) => builder.node({ type: "Mul", inputs: [a, b] });
    const cube = mul(mul(mul(x, x), x), builder.scalar("cube", 0.044715));
    const inner = mul(
      builder.node({ type: "Add", inputs: [x, cube] }),
      builder.scalar("scale", Math.sqrt(2 / Math.PI)),
    );
    return halfTimesOnePlus(x, builder.node({ type: "Tanh", inputs: [inner] }), builder);
  },
);

function halfTimesOnePlus(x: string, y: string, builder: OnnxBuilder): OnnxNode {
  const half = builder.node({ type: "Mul", inputs: [x, builder.scalar("half", 0.5)] });
  return {
    type: "Mul",
    inputs: [half, builder.node({ type: "Add", inputs: [y, builder.scalar("one", 1)] })],
  };
}

/**
 * x times the probability that a standard normal is below x. With `approximate` "tanh" it is the approximation by tanh.
 * `torch.nn.functional.gelu`.
 *
 * @throws DistilleryError `BAD_DTYPE` for what is no tensor, `BAD_ARGUMENT` for another approximation.
 * @example
 * ```ts
 * F.gelu(tensor([-1, 0, 1])).toArray(); // [-0.1587, 0, 0.8413]
 * ```
 */
export function gelu(x: Tensor, options: { approximate?: "none" | "tanh" } = {}): Tensor {
  expectOptions("gelu", options, ["approximate"]);
  const approximate = expectOneOf("gelu: approximate", options.approximate ?? "none", ["none", "tanh"]);
  return approximate === "tanh" ? geluTanh(x) : geluErf(x);
}

const limit = defineUnaryWith(
  "clamp",
  ({ a, b }) => `Math.min(Math.max(v, ${a}), ${b})`,
  (x, builder, { a, b }) => {
    if (b === Number.POSITIVE_INFINITY) return { type: "Max", inputs: [x, builder.scalar("min", a)] };
    if (a === Number.NEGATIVE_INFINITY) return { type: "Min", inputs: [x, builder.scalar("max", b)] };
    return { type: "Clip", inputs: [x, builder.scalar("min", a), builder.scalar("max", b)] };
  },
);

/**
 * x limited to [min, max]; leave one out with null. The gradient is 0 outside and at the bounds, as PyTorch's since
 * July 2026; before, it was 1 at the bounds. `torch.clamp`.
 */
export function clamp(x: Tensor, min: number | null, max: number | null = null): Tensor {
  if (min === null && max === null) throw argumentError("clamp", "expected min, max or both");
  const bound = (name: string, value: number) => expectFinite(`clamp: ${name}`, value);
  const a = min === null ? Number.NEGATIVE_INFINITY : bound("min", min);
  return limit(x, { a, b: max === null ? Number.POSITIVE_INFINITY : bound("max", max) });
}

defineMethods({ neg, abs, exp, log, log1p, sqrt, rsqrt, tanh, sigmoid, clamp });
