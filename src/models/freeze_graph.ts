import { argumentError, expectDimensions, expectFlags, expectShape } from "../checks.js";
import type { DistilleryError } from "../errors.js";
import { FrozenModel } from "../graph/index.js";
import { expectModule } from "../nn/expect_module.js";
import { Module } from "../nn/module.js";
import type { StateDict } from "../nn/state_dict.js";
import { isRecording } from "../tensor/autograd.js";
import { countNativeBytes } from "../tensor/buffer_pool.js";
import { currentGenerator } from "../tensor/random.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { recordOf, setRecord } from "./training_record.js";

/** A network in eval mode with the weights that it had when it was frozen. */
class FrozenNetwork extends Module {
  readonly #model: FrozenModel;
  readonly #sampleShape: readonly number[];
  readonly #readsImages: boolean;
  readonly #bytesPerSample: number;

  constructor(network: Module, sampleShape: readonly number[]) {
    super();
    this.train(false);
    this.#model = FrozenModel.from(network, sampleShape, { training: false });
    this.#sampleShape = sampleShape;
    this.#readsImages = network.readsImages;
    this.#bytesPerSample = this.#model.activationBytes(1);
  }

  override get readsImages(): boolean {
    return this.#readsImages;
  }

  override forward(x: Tensor): Tensor {
    expectTensor("x", x);
    expectShape("x", x.shape, [-1, ...this.#sampleShape]);
    if (isRecording([x])) throw refusal("gives no gradients, and x requires one: ask in noGrad, or the network itself");
    countNativeBytes(x.shape[0] * this.#bytesPerSample);
    return this.#model.run(x, currentGenerator());
  }

  override train(mode = true): this {
    expectFlags({ mode });
    if (mode) throw refusal("stays in eval mode: train the network that it was made from");
    return super.train(mode);
  }

  /** Without a state it has no fingerprint: all frozen networks would share one. */
  override stateDict(): StateDict {
    throw refusal("has no state dict: give the network that it was made from (a teacher is frozen anyway)");
  }
}

/** Refuses a teacher that {@link freezeGraph} returned, or that contains one: its precision is not the run's. */
export function expectNotFrozen(teacher: Module): void {
  for (const part of teacher.modules()) if (part instanceof FrozenNetwork) part.stateDict();
}

function refusal(text: string): DistilleryError {
  return argumentError("network", `is frozen by freezeGraph and ${text}`);
}

/**
 * Freezes a network in eval mode for prediction: its current weights are copied and packed once, and its forward pass
 * runs as one native call. A single sample takes a fraction of the time, and the results have the bits of `forward` in
 * `noGrad`. The frozen network has no parameters and no state dict, gives no gradients and stays in eval mode; as a
 * teacher or in a file use the network itself. Its precision is the one in which it was frozen, `withPrecision`'s or
 * float32, wherever it is used. TensorFlow's `freeze_graph`, `torch.jit.freeze`.
 *
 * A branch of `forward` on the number of rows is lost. It is refused if it shows with batches of 2, 3 and, for samples
 * of up to 1024 values, 32 rows.
 *
 * @param sampleShape a sample's: `[784]`, or `[3, 32, 32]`.
 * @throws DistilleryError `BAD_ARGUMENT` if the network's forward pass can't be traced, or has an operation that only
 * runs in TypeScript.
 * @example
 * ```ts
 * const network = freezeGraph(await loadNetwork("student.safetensors"), [784]);
 * const [prediction] = predict(network, inputs);
 * ```
 */
export function freezeGraph(network: Module, sampleShape: readonly number[]): Module {
  expectModule("network", network);
  expectDimensions("sampleShape", sampleShape);
  const frozen = new FrozenNetwork(network, sampleShape);
  setRecord(frozen, recordOf(network));
  return frozen;
}
