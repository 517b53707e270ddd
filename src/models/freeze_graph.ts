import { expectDimensions, expectShape } from "../checks.js";
import { FrozenModel } from "../graph/index.js";
import { expectModule } from "../nn/expect_module.js";
import { Module } from "../nn/module.js";
import { currentGenerator } from "../tensor/random.js";
import type { Tensor } from "../tensor/tensor.js";
import { recordOf, setRecord } from "./training_record.js";

/** A network in eval mode with the weights that it had. */
class FrozenNetwork extends Module {
  readonly #model: FrozenModel;
  readonly #sampleShape: readonly number[];
  readonly #readsImages: boolean;

  constructor(network: Module, sampleShape: readonly number[]) {
    super();
    this.train(false);
    this.#model = FrozenModel.from(network, sampleShape, { training: false });
    this.#sampleShape = sampleShape;
    this.#readsImages = network.readsImages;
  }

  override get readsImages(): boolean {
    return this.#readsImages;
  }

  override forward(x: Tensor): Tensor {
    expectShape("x", x.shape, [-1, ...this.#sampleShape]);
    return this.#model.run(x, currentGenerator());
  }
}

/**
 * A network in eval mode as it is now, to be asked: its weights are copied and packed once, and its forward pass runs as one native call. One sample takes a fraction
 * of the time, and what it gets has the same bits. It has no parameters and gives no gradients. TensorFlow's `freeze_graph`, `torch.jit.freeze`.
 *
 * @param sampleShape a sample's: `[784]`, or `[3, 32, 32]`.
 * @throws DistilleryError `BAD_ARGUMENT` if the network's forward pass can't be traced, or has an operation that only runs in TypeScript.
 * @example
 * ```ts
 * const network = freezeGraph(await loadNetwork("student.safetensors"), [784]);
 * const [{ label }] = predict(network, sample);
 * ```
 */
export function freezeGraph(network: Module, sampleShape: readonly number[]): Module {
  expectModule("network", network);
  expectDimensions("sampleShape", sampleShape);
  const frozen = new FrozenNetwork(network, sampleShape);
  setRecord(frozen, recordOf(network));
  return frozen;
}
