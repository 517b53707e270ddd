import { argumentError, badDtype, expectOptions, expectShape } from "../checks.js";
import { expectUnaugmented } from "../data/augment.js";
import { type Batch, expectDataset } from "../data/dataset.js";
import type { Dataset } from "../data/index.js";
import { expectClassNames } from "../data/labels.js";
import { DataLoader } from "../data/loader.js";
import { expectSpec, type Preprocessing } from "../data/preprocessing/spec.js";
import { takeSlice } from "../data/take_batch.js";
import { hasTargets } from "../data/task_name.js";
import { DistilleryError } from "../errors.js";
import { fitNetwork, inputsOf } from "../models/fit_network.js";
import { recordOf } from "../models/training_record.js";
import { expectModule } from "../nn/expect_module.js";
import { expectOutput } from "../nn/expect_output.js";
import { inputsFor } from "../nn/inputs_for.js";
import { withEvalMode } from "../nn/modes.js";
import type { Module } from "../nn/module.js";
import { rowsFor } from "../nn/rows_for.js";
import type { Evaluation, TaskEvaluation } from "../tasks/evaluation.js";
import { taskOf } from "../tasks/index.js";
import { type Prediction, rowsOf, type TaskPrediction } from "../tasks/prediction.js";
import { noGrad } from "../tensor/autograd.js";
import { withArena } from "../tensor/step.js";
import { Tensor } from "../tensor/tensor.js";

const BATCH = 1000;

/** The number of outputs that a network for the data has; -1: any. */
export function widthFor(data: Pick<Dataset, "task" | "classes">): number {
  return taskOf(data).width(data.classes);
}

/** The logits [n, classes] of inputs in eval mode; -1: any number of classes. The network's modes are restored. */
export function forwardEval(network: Module, inputs: Tensor, classes: number): Tensor {
  const logits = withEvalMode(network, () =>
    noGrad(() => expectOutput("model", network.forward(inputsFor(network, inputs)))),
  );
  expectShape("logits", logits.shape, [inputs.shape[0], classes]);
  return logits;
}

/**
 * A network's logits for a whole data set in its order, [samples, classes], in eval mode and without gradients. The
 * network's modes are restored.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` if the network does not fit the data.
 * @example
 * ```ts
 * const logits = logitsOf(teacher, test);
 * const softTargets = F.softmax(logits.mul(1 / 3.5));
 * ```
 */
export function logitsOf(model: Module, data: Dataset, options: { batchSize?: number } = {}): Tensor {
  expectOptions("logitsOf", options, ["batchSize"]);
  let out: Float32Array | null = null;
  let width = 0;
  eachBatch([fitted(model, data)], data, options.batchSize, ({ logits }, start) => {
    width = logits.shape[1];
    out ??= new Float32Array(data.length * width);
    out.set(logits.data, start * width);
  });
  return new Tensor(out ?? new Float32Array(0), [data.length, width]);
}

/**
 * Evaluates a network on a data set in eval mode, against labels or targets, and against a teacher if one is given. The
 * networks' modes are restored. A network with a training record, such as one from {@link loadNetwork}, gets columns
 * and classes matched by name, standardised by its own means and deviations. The result has the type for
 * classification; for another task pass the type as an argument: `evaluate<RegressionEvaluation>(...)`.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` if a network does not fit the data.
 * @example
 * ```ts
 * const { accuracy, agreement } = evaluate(student, test, { teacher });
 * ```
 */
export function evaluate<E extends TaskEvaluation = Evaluation>(
  model: Module,
  data: Dataset,
  options: { teacher?: Module; batchSize?: number } = {},
): E {
  expectOptions("evaluate", options, ["teacher", "batchSize"]);
  const { teacher, batchSize } = options;
  const network = fitted(model, data);
  const other = teacher === undefined ? undefined : fitted(teacher, data, "teacher");
  const task = taskOf(data);
  const evaluator = task.evaluator(data);
  eachBatch([network, ...(other ? [other] : [])], data, batchSize, ({ logits, batch }) => {
    evaluator.add(logits, batch, other && task.keep(forwardEval(other, inputsOf(other, batch), widthFor(data))));
  });
  return evaluator.report() as E;
}

interface LogitBatch {
  logits: Tensor;
  batch: Batch;
}

/** A network adapted to the data. */
function fitted(model: Module, data: Dataset, name = "model"): Module {
  expectModule(name, model);
  return fitNetwork(model, expectDataset(data, "data"), name);
}

/**
 * Calls `body` with the logits of the first of `networks`; the others, which `body` also runs, count towards the memory
 * limit.
 */
function eachBatch(
  networks: readonly [Module, ...Module[]],
  data: Dataset,
  batchSize: number | undefined,
  body: (batch: LogitBatch, start: number) => void,
): void {
  expectUnaugmented("data", data);
  const [network] = networks;
  const rows = batchSize ?? rowsFor(networks, () => takeSlice(data, 0, 1).inputs, BATCH);
  const loader = new DataLoader(data, { batchSize: rows }).epochFrom(null);
  let start = 0;
  for (let i = 0; i < loader.length; i++) {
    withArena(() => {
      const batch = loader.batch(i);
      body({ logits: forwardEval(network, inputsOf(network, batch), widthFor(data)), batch }, start);
      start += batch.labels.size;
    });
  }
}

/**
 * Predicts for samples without labels, in eval mode: for a classification the softmax of the logits. Inputs are [n,
 * features] or [n, channels, height, width], as `encodeSamples` makes them. The network's modes are restored. The task,
 * and the unit of the targets, come from the network's training record or from `preprocessing`; without either, outputs
 * are logits of classes. For another task pass the result's type as an argument: `predict<ValuePrediction>(...)`.
 *
 * @throws DistilleryError `SHAPE_MISMATCH` if the network does not fit the inputs or the class names, `NON_FINITE` if
 * its outputs are not finite, `BAD_ARGUMENT` for a single output whose task is unknown.
 * @example
 * ```ts
 * const inputs = encodeSamples(preprocessingOf(train), [{ height: 1.62, colour: "red" }]);
 * const [prediction] = predict(student, inputs, { classNames: train.classNames });
 * console.log(prediction?.className, prediction?.probability);
 * ```
 */
export function predict<P extends TaskPrediction = Prediction>(
  model: Module,
  inputs: Tensor,
  options: { classNames?: readonly string[] | null | undefined; preprocessing?: Preprocessing | null | undefined } = {},
): P[] {
  return [...batchesOfPredictions<P>(model, inputs, options)].flat();
}

/** The same, batch by batch: the memory of a batch is released before the next one. */
export function* batchesOfPredictions<P extends TaskPrediction>(
  model: Module,
  inputs: Tensor,
  options: NonNullable<Parameters<typeof predict>[2]>,
): Generator<P[]> {
  expectModule("model", model);
  expectOptions("predict", options, ["classNames", "preprocessing"]);
  expectClassNames(options.classNames ?? undefined);
  if (options.preprocessing !== null && options.preprocessing !== undefined)
    expectSpec(options.preprocessing, "preprocessing");
  if (!(inputs instanceof Tensor)) throw badDtype("inputs", "a Tensor [n, features]", inputs);
  if (inputs.shape.length < 2) expectShape("inputs", inputs.shape, [-1, -1]);
  const spec = options.preprocessing ?? recordOf(model)?.preprocessing ?? null;
  const task = taskOf(spec ?? {});
  const names = options.classNames ?? (hasTargets(spec ?? {}) ? (spec?.classNames ?? null) : null);
  const width = task.width(names?.length ?? -1);
  const [rows] = inputs.shape;
  const most = rows < 2 ? BATCH : rowsFor([model], () => inputs.slice(0, 1), BATCH);
  for (let start = 0; start < rows; start += most) {
    yield withArena(() => {
      const outputs = forwardEval(
        model,
        inputs.slice(start, Math.min(start + most, rows)),
        options.classNames ? -1 : width,
      );
      if (width >= 0 && outputs.shape[1] !== width) {
        const text = `classNames: expected ${outputs.shape[1]} names, got ${width}`;
        throw new DistilleryError("SHAPE_MISMATCH", text);
      }
      if (spec === null && outputs.shape[1] === 1) {
        throw argumentError("preprocessing", "needed for one output, which is no class, as preprocessingOf(data)");
      }
      const wrong = rowsOf(outputs).findIndex((row) => !task.isValid(row));
      if (wrong >= 0) {
        throw new DistilleryError("NON_FINITE", `inputs[${start + wrong}]: the network's outputs are not finite`);
      }
      return task.predictions(outputs, { classNames: names, ...(spec?.targets && { targets: spec.targets }) }) as P[];
    });
  }
}

const LATENCY_PASSES = 200;
const THROUGHPUT_PASSES = 15;
const THROUGHPUT_BATCH = 256;
/** However long one takes. */
const FEWEST_PASSES = 5;
/** If passes are slow, fewer are enough. The time is that of PyTorch's `blocked_autorange`. */
const ENOUGH_MS = 200;
const WARM_MS = 50;

/**
 * The milliseconds that a network in eval mode takes for one sample of a data set: the median of many runs, after
 * warming up.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no network, `SHAPE_MISMATCH` if it does not fit the data.
 * @example
 * ```ts
 * console.log(`${measureLatency(student, test).toFixed(3)} ms`);
 * ```
 */
export function measureLatency(model: Module, data: Dataset): number {
  return medianTime(fitted(model, data), data, 1, LATENCY_PASSES);
}

/**
 * The samples per second that a network in eval mode classifies, in batches of 256 (or of all samples, if there are
 * fewer; for images limited to 128 MB of activations): the median of several runs, after warming up.
 *
 * @throws DistilleryError as {@link measureLatency}.
 * @example
 * ```ts
 * console.log(`${Math.round(measureThroughput(student, test))} samples a second`);
 * ```
 */
export function measureThroughput(model: Module, data: Dataset): number {
  const network = fitted(model, data);
  const most = rowsFor([network], () => takeSlice(data, 0, 1).inputs, THROUGHPUT_BATCH);
  const samples = Math.min(most, data.length);
  return (1000 * samples) / medianTime(network, data, samples, THROUGHPUT_PASSES);
}

/** Milliseconds for the first `samples`: the median of at most `passes`, once warm. */
function medianTime(network: Module, data: Dataset, samples: number, passes: number): number {
  const inputs = inputsOf(network, takeSlice(data, 0, samples));
  const timed = (enough: number) => {
    const [times, begin] = [[] as number[], performance.now()];
    for (let start = begin; times.length < FEWEST_PASSES || (times.length < passes && start < begin + enough); ) {
      withArena(() => noGrad(() => expectOutput("model", network.forward(inputs))));
      const end = performance.now();
      times.push(end - start);
      start = end;
    }
    return times;
  };
  const times = withEvalMode(network, () => {
    timed(WARM_MS);
    return timed(ENOUGH_MS);
  });
  return times.sort((a, b) => a - b)[times.length >> 1];
}
