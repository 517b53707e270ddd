import { badArgument, expectPositive } from "../checks.js";
import type { Tensor } from "../tensor/tensor.js";
import { defineUnaryWith } from "./define_unary.js";

const js = ({ b: beta }: { b: number }) => `Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(${beta} * v))) / ${beta}`;

const scaled = defineUnaryWith("softplus", js, (x, builder, { b: beta }) => {
  if (beta === 1) return { type: "Softplus", inputs: [x] };
  const scale = builder.scalar("beta", beta);
  const unit = builder.node({ type: "Softplus", inputs: [builder.node({ type: "Mul", inputs: [x, scale] })] });
  return { type: "Div", inputs: [unit, scale] };
});

/**
 * log(1 + e^(beta x)) / beta, a smooth ReLU, of x of any shape. `torch.nn.functional.softplus`: above its threshold of
 * 20 that is x itself, which is what single precision gives here too.
 *
 * @throws DistilleryError `BAD_DTYPE` for what is no tensor, `BAD_ARGUMENT` for a beta that is not above 0.
 * @example
 * ```ts
 * F.softplus(tensor([-30, 0, 30])).toArray(); // [9.4e-14, 0.6931472, 30]
 * ```
 */
export function softplus(x: Tensor, beta = 1, extra?: never): Tensor {
  if (extra !== undefined) throw badArgument("softplus", "x and beta alone (the threshold is 20)", extra);
  expectPositive("softplus: beta", beta);
  return scaled(x, { a: 0, b: beta });
}
