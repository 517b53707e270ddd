import { setImmediate } from "node:timers/promises";
import { types } from "node:util";
import { expectShape } from "../checks.js";
import type { Batch, Dataset } from "../data/dataset.js";
import { DataLoader } from "../data/loader.js";
import type { Module } from "../nn/module.js";
import { Taps } from "../nn/taps.js";
import { argmax } from "../ops/max.js";
import type { Teacher } from "../teachers/index.js";
import { type Generator, withGenerator } from "../tensor/random.js";
import { TensorArena } from "../tensor/step.js";
import { expectFinite } from "./arguments.js";
import { forwardEval } from "./inference.js";
import { ClassificationMetrics } from "./metrics.js";
import type { Part } from "./trainer_input.js";

const BATCH = 512;

/**
 * Evaluates on a validation set after each epoch of a run; the event loop gets its turn after each batch. The classes that
 * a fixed teacher predicts are computed once.
 */
export class Validator {
  readonly #teacher: Teacher | null;
  #teacherClasses: Int32Array | null = null;

  constructor(
    private readonly data: Dataset,
    teacher: Teacher | null,
    private readonly generator: Generator,
    /** Networks in the model whose own accuracy is reported too. */
    private readonly parts: readonly Part[] = [],
  ) {
    this.#teacher = teacher?.evaluate === undefined ? null : teacher;
  }

  /** The metrics of an epoch: `validationLoss`, `validationAccuracy`, and with a teacher `agreement`. */
  async validate(model: Module): Promise<Record<string, number>> {
    const { data } = this;
    const metrics = new ClassificationMetrics(data.classes);
    const tapped = new Taps(
      model,
      this.parts.map(({ path }) => path),
      "model",
    );
    const ofParts = this.parts.map(() => new ClassificationMetrics(data.classes));
    const known = this.#teacherClasses;
    const classes = known ?? new Int32Array(data.length);
    const loader = new DataLoader(data, { batchSize: BATCH }).epochFrom(null);
    for (let i = 0; i < loader.length; i++) {
      await setImmediate();
      const arena = new TensorArena();
      const run = <T>(body: () => T) => arena.run(() => withGenerator(this.generator, body));
      try {
        const batch = run(() => loader.batch(i));
        const own = classes.subarray(i * BATCH, i * BATCH + batch.labels.size);
        if (known === null && this.#teacher !== null) await this.#predict(this.#teacher, batch, run, own);
        run(() => {
          const { value: logits, taps } = tapped.record(() => forwardEval(model, batch.inputs, data.classes));
          for (const [i, { path }] of this.parts.entries()) ofParts[i].add(taps[path], batch.labels.data);
          metrics.add(logits, batch.labels.data, this.#teacher === null ? undefined : own);
        });
      } finally {
        arena.release();
      }
    }
    if (this.#teacher?.isFixed ?? true) this.#teacherClasses = classes;
    const { loss, accuracy, agreement } = metrics.report();
    return {
      validationLoss: expectFinite("validation loss", loss),
      validationAccuracy: accuracy,
      ...(agreement !== undefined && { agreement }),
      ...Object.fromEntries(
        this.parts.map(({ name }, i) => [`${name}.validationAccuracy`, ofParts[i].report().accuracy]),
      ),
    };
  }

  async #predict(teacher: Teacher, batch: Batch, run: <T>(body: () => T) => T, out: Int32Array): Promise<void> {
    const given = run(() => teacher.evaluate?.(batch));
    const outputs = types.isPromise(given) ? await given : given;
    if (outputs === undefined) return;
    expectShape("the teacher's logits of the validation set", outputs.logits.shape, [out.length, this.data.classes]);
    run(() => out.set(argmax(outputs.logits).data));
  }
}
