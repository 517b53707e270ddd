import { Module } from "../nn/module.js";
import { Tensor } from "../tensor/tensor.js";

/**
 * A network whose answers to a data set are known: gives them again, batch by batch in the data's order, so that several
 * figures cost one pass.
 */
export class Answered extends Module {
  #next = 0;

  /** Logits [examples, classes]. */
  constructor(private readonly logits: Tensor) {
    super();
  }

  override forward(x: Tensor): Tensor {
    const [examples, classes] = this.logits.shape as [number, number];
    const rows = x.shape[0] as number;
    const start = this.#next;
    this.#next = (start + rows) % examples;
    return new Tensor(this.logits.data.subarray(start * classes, (start + rows) * classes), [rows, classes]);
  }
}
