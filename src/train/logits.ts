import { expectInteger, expectShape } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import { DataLoader } from "../data/loader.js";
import { inEvalMode } from "../nn/modes.js";
import type { Module } from "../nn/module.js";
import { noGrad } from "../tensor/autograd.js";
import { withArena } from "../tensor/buffer_pool.js";
import { Tensor } from "../tensor/tensor.js";
import { expectDataset, expectModule } from "./arguments.js";

/**
 * A network's answers to a whole data set in its order, [examples, classes], in eval mode and outside of the tape. Its
 * modes are set back.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` where the network does not fit the data.
 * @example
 * ```ts
 * const logits = logitsOf(teacher, test);
 * const softTargets = F.softmax(logits.mul(1 / 3.5));
 * ```
 */
export function logitsOf(model: Module, data: Dataset, options: { batchSize?: number } = {}): Tensor {
  expectModule("model", model);
  expectDataset("data", data);
  const { batchSize = 1000 } = options;
  expectInteger("batchSize", batchSize, 1);
  const batches = new DataLoader(data, { batchSize }).epochFrom(null);
  const out = new Float32Array(data.length * data.classes);
  for (let i = 0; i < batches.length; i++) {
    withArena(() => {
      const { inputs } = batches.batch(i);
      out.set(answers(model, inputs, data.classes).data, i * batchSize * data.classes);
    });
  }
  return new Tensor(out, [data.length, data.classes]);
}

/** The logits of some inputs in eval mode, [n, classes]. */
export function answers(network: Module, inputs: Tensor, classes: number): Tensor {
  const logits = inEvalMode(network, () => noGrad(() => network.forward(inputs)));
  expectShape("logits", logits.shape, [inputs.shape[0] as number, classes]);
  return logits;
}
