import { argumentError, expectOptions, expectShape } from "../checks.js";
import { unread } from "../tensor/reads.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { isTracing } from "../tensor/tracer.js";
import { div, mul, rsub, sub } from "./binary.js";
import { broadcastShape } from "./broadcast.js";
import { defineFunction } from "./define_function.js";
import { expectReduction, type Reduction, reduce } from "./losses.js";
import { clamp, log, log1p, neg } from "./unary.js";

/** PyTorch's bounds: of the logarithm of 0, and of what the gradient is divided by. */
const [LEAST_LOG, LEAST_VARIANCE] = [-100, 1e-12];

const logOf = (probability: Tensor) => clamp(log(probability), LEAST_LOG);
const logOfRest = (probability: Tensor) => clamp(log1p(neg(probability)), LEAST_LOG);

/** Its gradients are PyTorch's: of the input finite, even for a probability of 0 or 1. */
const crossEntropyOf = defineFunction<[Tensor, Tensor]>({
  name: "binaryCrossEntropy",
  forward(context, input, target) {
    context.saveForBackward(input, target);
    return sub(mul(sub(target, 1), logOfRest(input)), mul(target, logOf(input)));
  },
  backward({ savedTensors: [input, target] }, grad) {
    const variance = clamp(mul(rsub(input, 1), input), LEAST_VARIANCE);
    return [div(mul(grad, sub(input, target)), variance), mul(grad, sub(log1p(neg(input)), log(input)))];
  },
});

/**
 * The binary cross-entropy of probabilities with targets from 0 to 1, by default its mean; a logarithm is at least
 * -100. `torch.nn.functional.binary_cross_entropy`. Of a network's logits take
 * {@link binaryCrossEntropyWithLogits}, which loses no digits.
 *
 * @throws DistilleryError `BAD_DTYPE`, `SHAPE_MISMATCH` for a target of another shape, `BAD_ARGUMENT` for an input that
 * is no probability, and for another reduction.
 * @example
 * ```ts
 * F.binaryCrossEntropy(tensor([0.5, 0.25]), tensor([1, 0])).item(); // 0.4904..., the mean of 0.6931... and 0.2876...
 * ```
 */
export function binaryCrossEntropy(
  input: Tensor,
  target: Tensor,
  options: { reduction?: Reduction; weight?: Tensor } = {},
): Tensor {
  expectOptions("binaryCrossEntropy", options, ["reduction", "weight"]);
  const { reduction = "mean", weight } = options;
  expectReduction("binaryCrossEntropy", reduction);
  expectTensor("binaryCrossEntropy: input", input);
  expectTensor("binaryCrossEntropy: target", target);
  expectShape("binaryCrossEntropy: target", target.shape, input.shape);
  // A network is traced with samples of any values.
  const bad = isTracing() ? -1 : unread(() => input.data.findIndex((p) => !(p >= 0 && p <= 1)));
  if (bad >= 0) {
    const text = `expected a probability from 0 to 1, got ${input.data[bad]}: binaryCrossEntropyWithLogits takes logits`;
    throw argumentError(`binaryCrossEntropy: input[${bad}]`, text);
  }
  if (weight !== undefined) {
    expectTensor("binaryCrossEntropy: weight", weight);
    // One that is larger would broadcast the loss.
    const name = "binaryCrossEntropy: weight";
    expectShape(`${name}, broadcast with input`, broadcastShape(name, weight, input), input.shape);
  }
  const loss = crossEntropyOf(input, target);
  return reduce(weight === undefined ? loss : mul(loss, weight), reduction);
}
