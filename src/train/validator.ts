import { setImmediate } from "node:timers/promises";
import { types } from "node:util";
import { expectShape } from "../checks.js";
import type { Batch, Dataset } from "../data/dataset.js";
import { DataLoader } from "../data/loader.js";
import { takeSlice } from "../data/take_batch.js";
import type { Module } from "../nn/module.js";
import { rowsFor } from "../nn/rows_for.js";
import { Taps } from "../nn/taps.js";
import type { TaskEvaluation } from "../tasks/evaluation.js";
import { taskOf } from "../tasks/index.js";
import { epochKey, type Metric, metricsOf } from "../tasks/metrics.js";
import type { Task, TeacherOutputs } from "../tasks/task.js";
import type { Teacher } from "../teachers/index.js";
import { expectOutputs } from "../teachers/teacher.js";
import { inPrecision, type Precision } from "../tensor/precision.js";
import { Generator, withGenerator } from "../tensor/random.js";
import { TensorArena } from "../tensor/step.js";
import { forwardEval, widthFor } from "./inference.js";
import { expectFiniteLoss } from "./train_step.js";
import type { Part } from "./trainer_input.js";

/**
 * Evaluates on a validation set after each epoch of a run; the event loop gets a turn after each batch. The outputs of
 * a fixed teacher are computed once. Random draws come from separate streams, so that the run's stream is the same with
 * and without validation.
 */
export class Validator {
  readonly #task: Task;
  readonly #teacher: Teacher | null;
  /** What is kept of the teacher's outputs, by batch. */
  #kept: readonly TeacherOutputs[] | null = null;
  /** Of a batch. */
  #rows: number | null = null;

  constructor(
    private readonly data: Dataset,
    teacher: Teacher | null,
    /** Of the teacher; the model is evaluated in float32, as it will be used. */
    private readonly precision: Precision,
    /** Networks in the model whose own metrics are reported too. */
    private readonly parts: readonly Part[] = [],
  ) {
    this.#task = taskOf(data);
    this.#teacher = teacher?.evaluate === undefined ? null : teacher;
  }

  /**
   * The metrics of an epoch: `validationLoss`, the task's metrics, such as `validationAccuracy`, and with a teacher
   * `agreement`.
   */
  async validate(model: Module): Promise<Record<string, number>> {
    const { data } = this;
    const [task, known] = [this.#task, this.#kept];
    const metrics = task.evaluator(data);
    const tapped = new Taps(
      model,
      this.parts.map(({ path }) => path),
      "model",
    );
    const ofParts = this.parts.map(() => task.evaluator(data));
    const kept: TeacherOutputs[] = [];
    this.#rows ??= rowsFor([model], () => takeSlice(data, 0, 1).inputs);
    const loader = new DataLoader(data, { batchSize: this.#rows }).epochFrom(null);
    const generator = new Generator();
    for (let i = 0; i < loader.length; i++) {
      await setImmediate();
      const arena = new TensorArena();
      const run = <T>(body: () => T) => arena.run(() => withGenerator(generator, body));
      try {
        const batch = run(() => loader.batch(i));
        const own = known?.[i] ?? (this.#teacher && (await this.#keep(this.#teacher, batch, run)));
        if (own !== null) kept.push(own);
        run(() => {
          const { value: logits, taps } = tapped.record(() => forwardEval(model, batch.inputs, widthFor(data)));
          for (const [i, { path }] of this.parts.entries()) ofParts[i].add(taps[path], batch);
          metrics.add(logits, batch, own ?? undefined);
        });
      } finally {
        arena.release();
      }
    }
    if (this.#teacher?.isFixed ?? true) this.#kept = kept;
    const evaluation = metrics.report();
    return {
      validationLoss: expectFiniteLoss("validation loss", evaluation.loss),
      ...this.#figures(evaluation, metricsOf(data)),
      ...Object.fromEntries(
        this.parts.flatMap(({ name }, i) => {
          const [[key, value]] = Object.entries(this.#figures(ofParts[i].report(), metricsOf(data).slice(0, 1)));
          return [[`${name}.${key}`, value]];
        }),
      ),
    };
  }

  /** Metrics under their names in an epoch's record. */
  #figures(evaluation: TaskEvaluation, figures: readonly Metric[]): Record<string, number> {
    const shown = figures.filter(({ perEpoch }) => perEpoch).map((metric) => [epochKey(metric), metric.of(evaluation)]);
    return Object.fromEntries(shown.filter(([, value]) => value !== undefined));
  }

  async #keep(teacher: Teacher, batch: Batch, run: <T>(body: () => T) => T): Promise<TeacherOutputs | null> {
    if (teacher.evaluate === undefined) return null;
    const evaluate = () => inPrecision(this.precision, () => teacher.evaluate?.(batch));
    // A separate stream: the model's draws are the same if the teacher's outputs are already known.
    const given = run(() => withGenerator(new Generator(), evaluate));
    const outputs = expectOutputs(teacher, types.isPromise(given) ? await given : given);
    const { indices } = batch;
    expectShape("the teacher's logits of the validation set", outputs.logits.shape, [
      indices.length,
      this.data.classes,
    ]);
    // The memory of the step is reused.
    return run(() => this.#task.keep(outputs.logits).slice());
  }
}
