import type { Adaptation } from "../data/preprocessing/adapt.js";
import type { TextEncoding } from "../data/text/encodings.js";
import { Module } from "../nn/module.js";
import type { StateDict } from "../nn/state_dict.js";
import { add, indexSelect, mul } from "../ops/index.js";
import { Tensor } from "../tensor/tensor.js";

/** A network behind an {@link Adaptation}; its parameters, paths and modes are the network's. */
export class FittedNetwork extends Module {
  readonly encoding: TextEncoding | null;
  readonly #network: Module;
  readonly #inputs: {
    index: Int32Array | null;
    scale: Tensor;
    offset: Tensor;
    missing: { index: Int32Array; more: Tensor } | null;
  } | null;
  readonly #classes: Int32Array | null;
  readonly #outputs: { scale: Tensor; offset: Tensor } | null;

  constructor(network: Module, { inputs, encoding, classes, outputs }: Adaptation) {
    super();
    this.encoding = encoding;
    this.#network = network;
    this.#inputs = inputs && {
      index: inputs.index,
      scale: new Tensor(inputs.scale, [inputs.scale.length]),
      offset: new Tensor(inputs.offset, [inputs.offset.length]),
      missing: inputs.missing && {
        index: inputs.missing.index,
        more: new Tensor(inputs.missing.more, [inputs.missing.more.length]),
      },
    };
    this.#classes = classes;
    this.#outputs = outputs && {
      scale: new Tensor(outputs.scale, [outputs.scale.length]),
      offset: new Tensor(outputs.offset, [outputs.offset.length]),
    };
    // The mode is the network's own, so that setting it sets the network's.
    Object.defineProperty(this, "training", {
      get: () => network.training,
      set: (training: boolean) => {
        network.training = training;
      },
    });
  }

  override forward(x: Tensor): Tensor {
    const logits = this.#network.forward(this.#adapt(x));
    const ordered = this.#classes === null ? logits : indexSelect(logits, 1, this.#classes);
    return this.#outputs === null ? ordered : add(mul(ordered, this.#outputs.scale), this.#outputs.offset);
  }

  override get readsImages(): boolean {
    return this.#network.readsImages;
  }

  override get vocabulary(): number | null {
    return this.#network.vocabulary;
  }

  override namedParameters(): ReturnType<Module["namedParameters"]> {
    return this.#network.namedParameters();
  }

  override namedBuffers(): ReturnType<Module["namedBuffers"]> {
    return this.#network.namedBuffers();
  }

  override namedChildren(): [string, Module][] {
    return this.#network.namedChildren();
  }

  override stateDict(): StateDict {
    return this.#network.stateDict();
  }

  override train(mode = true): this {
    this.#network.train(mode);
    return this;
  }

  #adapt(x: Tensor): Tensor {
    if (this.#inputs === null) return x;
    const { index, scale, offset, missing } = this.#inputs;
    const own = index === null ? x : indexSelect(x, 1, index);
    const shape = own.shape.slice(1);
    const adapted = add(mul(own, new Tensor(scale.data, shape)), new Tensor(offset.data, shape));
    return missing === null ? adapted : add(adapted, mul(indexSelect(x, 1, missing.index), missing.more));
  }
}
