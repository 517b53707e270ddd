import { setImmediate } from "node:timers/promises";
import { expectShape } from "../checks.js";
import type { Dataset } from "../data/dataset.js";
import { DataLoader } from "../data/loader.js";
import { crossEntropy } from "../losses/cross_entropy.js";
import { inEvalMode } from "../nn/modes.js";
import type { Module } from "../nn/module.js";
import { argmax } from "../ops/argmax.js";
import { noGrad } from "../tensor/autograd.js";
import { withArena } from "../tensor/buffer_pool.js";
import { type Generator, withGenerator } from "../tensor/random.js";
import type { Tensor } from "../tensor/tensor.js";
import { expectFinite } from "./arguments.js";

const BATCH = 512;

/** How a network does on the validation set after an epoch. */
export interface ValidationFigures {
  /** Mean cross-entropy. */
  validationLoss: number;
  /** The share that is classified right. */
  validationAccuracy: number;
  /** With a teacher: the share that both classify alike. */
  agreement?: number;
}

/**
 * Looks at a validation set after each epoch of a run, in eval mode; the event loop gets its turn after each batch. A
 * teacher that does not change is asked once.
 */
export class Validator {
  /** The teacher's classes, once they are known for good. */
  #teacherClasses: Int32Array | null = null;

  constructor(
    private readonly data: Dataset,
    private readonly teacher: { module: Module; frozen: boolean } | null,
    private readonly generator: Generator,
  ) {}

  async validate(model: Module): Promise<ValidationFigures> {
    const { data, teacher } = this;
    const classes = new Int32Array(data.length);
    let [loss, correct] = [0, 0];
    await this.#eachBatch(model, (logits, labels, start) => {
      loss += crossEntropy(logits, labels).item() * labels.length;
      const predicted = argmax(logits).data;
      classes.set(predicted, start);
      for (let i = 0; i < labels.length; i++) if (predicted[i] === labels[i]) correct += 1;
    });
    const validationLoss = expectFinite("validation loss", loss / data.length);
    const figures = { validationLoss, validationAccuracy: correct / data.length };
    if (teacher === null) return figures;
    const byTeacher = await this.#askTeacher(teacher);
    const alike = classes.reduce((count, own, i) => count + Number(own === byTeacher[i]), 0);
    return { ...figures, agreement: alike / data.length };
  }

  async #askTeacher({ module, frozen }: { module: Module; frozen: boolean }): Promise<Int32Array> {
    if (this.#teacherClasses !== null) return this.#teacherClasses;
    const classes = new Int32Array(this.data.length);
    await this.#eachBatch(module, (logits, _, start) => classes.set(argmax(logits).data, start));
    if (frozen) this.#teacherClasses = classes;
    return classes;
  }

  async #eachBatch(module: Module, body: (logits: Tensor, labels: Int32Array, start: number) => void): Promise<void> {
    const loader = new DataLoader(this.data, { batchSize: BATCH }).epochFrom(null);
    for (let i = 0; i < loader.length; i++) {
      await setImmediate();
      withArena(() => {
        const { inputs, labels } = loader.batch(i);
        const answer = () => inEvalMode(module, () => noGrad(() => module.forward(inputs)));
        const logits = withGenerator(this.generator, answer);
        expectShape("logits of the validation set", logits.shape, [labels.size, this.data.classes]);
        body(logits, labels.data, i * BATCH);
      });
    }
  }
}
