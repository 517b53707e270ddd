import { argumentError, badDtype, expectLength, expectOptions, MAX_LENGTH, outOfRange, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { Tensor } from "../tensor/tensor.js";
import { NO_LABEL } from "./dataset.js";
import { expectClassNames } from "./labels.js";
import { hasTargets } from "./task_name.js";
import { DATASET_OPTIONS, type DatasetOptions, TensorDataset } from "./tensor_dataset.js";

/** A sample of the user's data. */
export interface Sample {
  /** Its values: as many in each sample; a tensor is flattened. */
  readonly input: ArrayLike<number> | Tensor;
  /** Its class, from 0, or -1 with `unlabelled`; of another task its target, or its targets. */
  readonly label: number | ArrayLike<number>;
}

/**
 * A data set in memory from samples that come one by one, such as those of an (async) generator: rows of a database,
 * decoded images. Their values are copied.
 *
 * @throws DistilleryError that counts samples from 0: `SHAPE_MISMATCH` if one has another number of values than the
 * first, `NON_FINITE`, `LABEL_OUT_OF_RANGE`, `BAD_DTYPE`; `BAD_ARGUMENT` if there is none.
 * @example
 * ```ts
 * async function* samples() {
 *   for await (const { width, height, kind } of rowsOf("select * from flowers"))
 *     yield { input: [width, height], label: kind };
 * }
 * const dataset = await fromIterable(samples(), { classes: 3, name: "flowers" });
 * ```
 */
export async function fromIterable(
  samples: Iterable<Sample> | AsyncIterable<Sample>,
  options: DatasetOptions = {},
): Promise<TensorDataset> {
  expectOptions("fromIterable", options, DATASET_OPTIONS);
  const { classNames, classes = expectClassNames(classNames)?.length ?? MAX_LENGTH } = options;
  expectLength("classes", classes);
  const isOther = hasTargets(options);
  const rows: Float32Array[] = [];
  /** Of each sample its class, or its targets. */
  const labels: (readonly number[])[] = [];
  for await (const sample of expectIterable(samples)) {
    const location = `sample ${rows.length}`;
    rows.push(readInput(location, sample, rows[0]?.length));
    labels.push(
      isOther
        ? readTargets(location, sample, labels[0]?.length)
        : [readLabel(location, sample, classes, options.unlabelled)],
    );
  }
  const [first] = rows;
  if (first === undefined) throw argumentError("samples", "expected at least one, got none");
  const inputs = new Float32Array(rows.length * first.length);
  for (const [i, row] of rows.entries()) inputs.set(row, i * first.length);
  const name = options.name ?? "samples";
  const given = isOther
    ? new Tensor(Float32Array.from(labels.flat()), [rows.length, labels[0].length])
    : Int32Array.from(labels.flat());
  return new TensorDataset(new Tensor(inputs, [rows.length, first.length]), given, {
    ...options,
    name,
  });
}

function expectIterable<I extends Iterable<Sample> | AsyncIterable<Sample>>(samples: I): I {
  const { [Symbol.iterator]: one, [Symbol.asyncIterator]: other } = Object(samples ?? {});
  if (typeof one === "function" || typeof other === "function") return samples;
  throw badDtype("samples", "an (async) iterable", samples);
}

function readInput(location: string, sample: Sample, expected: number | undefined): Float32Array {
  const { input } = sample ?? {};
  const values = input instanceof Tensor ? input.data : input;
  if (typeof values !== "object" || values === null || !Number.isInteger(values.length))
    throw badDtype(`${location}: input`, "numbers or a Tensor", input);
  expectLength(`${location}: input.length`, values.length);
  if (expected !== undefined && values.length !== expected) {
    const text = `${location}: input: expected ${expected} values as in sample 0, got ${values.length}`;
    throw new DistilleryError("SHAPE_MISMATCH", text);
  }
  const row = new Float32Array(values.length);
  for (let i = 0; i < row.length; i++) {
    const value: unknown = values[i];
    if (typeof value !== "number") throw badDtype(`${location}: input[${i}]`, "a number", value);
    row[i] = value;
    if (!Number.isFinite(row[i])) {
      const text = `${location}: input[${i}]: expected a finite number in single precision, got ${show(value)}`;
      throw new DistilleryError("NON_FINITE", text);
    }
  }
  return row;
}

/** Checks only how many numbers there are: the data set checks the numbers. */
function readTargets(location: string, { label }: Sample, expected: number | undefined): number[] {
  const targets: readonly unknown[] = typeof label === "object" && label !== null ? Array.from(label) : [label];
  if (!targets.every((target) => typeof target === "number"))
    throw badDtype(`${location}: label`, "a number or several", label);
  if (targets.length === (expected ?? Math.max(1, targets.length))) return targets.slice();
  const text = `${expected ?? "one value or several"}${expected === undefined ? "" : " values as in sample 0"}, got ${targets.length}`;
  throw new DistilleryError("SHAPE_MISMATCH", `${location}: label: expected ${text}`);
}

function readLabel(location: string, { label }: Sample, classes: number, unlabelled = false): number {
  if (typeof label === "number" && Number.isInteger(label) && label >= 0 && label < classes) return label;
  if (unlabelled && label === NO_LABEL) return label;
  throw outOfRange(`${location}: label`, classes, label);
}
