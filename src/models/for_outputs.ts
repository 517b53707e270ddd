import { type Batch, type Dataset, NO_LABEL } from "../data/dataset.js";
import { hasTargets } from "../data/task_name.js";
import type { Module } from "../nn/module.js";
import { IntTensor } from "../tensor/int_tensor.js";
import { vectorsOf } from "./create_network.js";
import { recordOf } from "./training_record.js";

/**
 * Samples as those that a network gives its outputs for: of one that gives vectors for any data, only the inputs count;
 * a table of texts alone, which has no classes, gets those of a network that knows its own.
 */
export function forOutputs(data: Dataset, network: Module): Dataset {
  const vectors = vectorsOf(network);
  if (vectors !== null) return inputsOf(data, { classes: vectors });
  const spec = recordOf(network)?.preprocessing ?? null;
  if (spec === null || !isWithoutClasses(data)) return data;
  const { task, classes, classNames } = spec;
  return inputsOf(data, { classes, task, classNames: classNames ?? undefined });
}

function isWithoutClasses(data: Dataset): boolean {
  return data.classes === 1 && data.unlabelled === true && data.classNames === undefined && !hasTargets(data);
}

function inputsOf(data: Dataset, outputs: Pick<Dataset, "classes" | "task" | "classNames">): Dataset {
  const { name, length, features, shape, image, table, values, texts } = data;
  const unlabelled = ({ inputs, indices }: Batch): Batch => ({
    inputs,
    indices,
    labels: new IntTensor(new Int32Array(inputs.shape[0]).fill(NO_LABEL)),
  });
  return {
    name,
    length,
    features,
    shape,
    image,
    table,
    values,
    unlabelled: true,
    ...outputs,
    ...(texts && { texts: (indices: Int32Array) => texts.call(data, indices) }),
    fingerprint: () => data.fingerprint(),
    batch: (indices) => unlabelled(data.batch(indices)),
    slice: (start, end) => unlabelled(data.slice(start, end)),
  };
}
