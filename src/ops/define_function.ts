import { expectOptions, expectShape } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { isRecording, noGrad, record } from "../tensor/autograd.js";
import { allocate } from "../tensor/buffer_pool.js";
import type { Op } from "../tensor/op.js";
import { unread } from "../tensor/reads.js";
import { step } from "../tensor/step.js";
import { expectTensor, Tensor } from "../tensor/tensor.js";
import { traceOp } from "../tensor/tracer.js";
import { expectDefinition } from "./define_op.js";
import { detachOp } from "./detach.js";

/** What `forward` and `backward` of a custom function share. `torch.autograd.function.FunctionCtx`. */
export class FunctionContext {
  #saved: readonly Tensor[] = [];

  /** Keeps tensors for the backward pass. */
  saveForBackward(...tensors: Tensor[]): void {
    this.#saved = tensors;
  }

  /** What `saveForBackward` kept. */
  get savedTensors(): readonly Tensor[] {
    return this.#saved;
  }
}

/** A function with a gradient of its own. */
export interface CustomFunction<Inputs extends readonly Tensor[]> {
  readonly name: string;
  /** Computes the result by any operations; none of them is recorded. */
  forward(context: FunctionContext, ...inputs: Inputs): Tensor;
  /**
   * The gradient of each input from that of the result; null for one that has none; the tensor itself for a single
   * input. What is computed in it ends with it: to read one of its tensors later is an error, unless its data were
   * copied.
   */
  backward(context: FunctionContext, grad: Tensor): readonly (Tensor | null)[] | Tensor;
}

interface Saved {
  readonly context: FunctionContext;
  readonly shape: readonly number[];
}

/**
 * A function whose gradient is given by hand, in terms of tensors. `torch.autograd.Function`.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a definition without a name, `forward` or `backward`; in the backward
 * pass: `BAD_ARGUMENT` for another number of gradients than inputs, `BAD_DTYPE` or `SHAPE_MISMATCH` for a gradient that
 * does not fit its input.
 * @example
 * ```ts
 * const roundStraightThrough = defineFunction({
 *   name: "roundStraightThrough",
 *   forward: (_, x: Tensor) => tensor(x.data.map(Math.round), { shape: x.shape }),
 *   backward: (_, grad) => grad, // as if nothing had been rounded
 * });
 * const x = tensor([1.4, 2.6], { requiresGrad: true });
 * roundStraightThrough(x).sum().backward();
 * x.grad?.toArray(); // [1, 1]
 * ```
 */
export function defineFunction<Inputs extends readonly Tensor[]>(
  custom: CustomFunction<Inputs>,
): (...inputs: Inputs) => Tensor {
  expectOptions("defineFunction", custom, ["name", "forward", "backward"]);
  expectDefinition("defineFunction", custom, ["forward", "backward"]);
  const op: Op<null, Saved> = {
    name: custom.name,
    forward() {
      throw new TypeError(`${custom.name}: is called by its own function`);
    },
    backward(grad, into, { inputs, saved: { context, shape } }) {
      // A step of its own: tensors of this pass that somebody keeps end with it, as their memory is used again.
      step(() => {
        const upstream = allocate(grad.length);
        upstream.set(grad);
        const result = noGrad(() => custom.backward(context, new Tensor(upstream, shape)));
        const grads = Array.isArray(result) ? result : [result];
        if (grads.length !== inputs.length) {
          const text = `backward(): expected a gradient, or null, of each of ${inputs.length} inputs, got ${grads.length}`;
          throw new DistilleryError("BAD_ARGUMENT", `${custom.name}: ${text}`);
        }
        for (const [i, target] of into.entries()) {
          if (target === null) continue;
          const given = grads[i];
          if (given === null) {
            target.fill(0);
            continue;
          }
          expectTensor(`${custom.name}: gradient ${i}`, given);
          expectShape(`${custom.name}: gradient ${i}`, given.shape, inputs[i].shape);
          target.set(given.data);
        }
      });
    },
  };
  return (...inputs) => {
    for (const [i, input] of inputs.entries()) expectTensor(`${custom.name}: input ${i}`, input);
    const context = new FunctionContext();
    const result = noGrad(() => custom.forward(context, ...inputs));
    expectTensor(`${custom.name}: forward()`, result);
    const { shape } = result;
    const data = unread(() => result.data);
    const output = new Tensor(data, shape);
    // A tracer saw the operations inside: the output is another name for their result.
    traceOp(output, [result], detachOp.op, null);
    if (isRecording(inputs)) record(output, op, inputs, null, { data, saved: { context, shape } });
    return output;
  };
}
