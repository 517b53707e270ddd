import { noGrad } from "../tensor/autograd.js";
import { Arena, countedNativeBytes } from "../tensor/buffer_pool.js";
import { Generator, withGenerator } from "../tensor/random.js";
import type { Tensor } from "../tensor/tensor.js";
import { expectOutput } from "./expect_output.js";
import { inputsFor } from "./inputs_for.js";
import { withEvalMode } from "./modes.js";
import type { Module } from "./module.js";

/** How many samples go through a network at once outside of training, if nothing asks for more. */
export const EVAL_ROWS = 512;
/** What the activations of a batch may take: with more images at once, passes are slower. */
const MAX_BYTES = 2 ** 27;

/**
 * How many samples go through networks at once in eval mode: `most`, or of networks that read images as many as there
 * is room for the activations of, which a pass of one sample tells. What a sample gets does not depend on it.
 *
 * @param sample a batch of one sample.
 */
export function rowsFor(networks: readonly Module[], sample: () => Tensor, most = EVAL_ROWS): number {
  const reading = networks.filter(({ readsImages }) => readsImages);
  if (reading.length === 0) return most;
  const arena = new Arena();
  const before = countedNativeBytes();
  let bytes = 0;
  try {
    arena.run(() =>
      withGenerator(new Generator(0), () => {
        const inputs = sample();
        for (const network of reading) {
          withEvalMode(network, () =>
            noGrad(() => expectOutput("network", network.forward(inputsFor(network, inputs)))),
          );
        }
      }),
    );
  } finally {
    const native = countedNativeBytes() - before;
    bytes = [...arena.release()].reduce((sum, { byteLength }) => sum + byteLength, native);
  }
  return Math.max(1, Math.min(most, Math.floor(MAX_BYTES / bytes)));
}
