import { type Dataset, NO_LABEL } from "../data/dataset.js";
import { Subset, splitDataset } from "../data/index.js";
import { labelsOf } from "../data/labels.js";
import { indexRange } from "../data/take_batch.js";
import { hasTargets } from "../data/task_name.js";
import { Generator, randperm, withGenerator } from "../tensor/random.js";

/** The same part for the same fraction, stratified by class; of samples without labels the same fraction of those. */
export function fractionOf(data: Dataset, fraction: number): Dataset {
  if (fraction === 1) return data;
  const { heldOut } = splitDataset(data, { fraction, seed: 0 });
  if (data.unlabelled !== true || hasTargets(data)) return heldOut;
  const labels = labelsOf(data);
  const rest = indexRange(0, data.length).filter((i) => labels[i] === NO_LABEL);
  const order = withGenerator(new Generator(0), () => randperm(rest.length)).data;
  const drawn = order.subarray(0, Math.round(fraction * rest.length)).map((i) => rest[i]);
  return new Subset(data, Int32Array.from([...heldOut.indices, ...drawn]).sort());
}
