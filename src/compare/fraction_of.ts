import { type Dataset, splitDataset } from "../data/index.js";

/** The same part for the same fraction, stratified by class. */
export function fractionOf(data: Dataset, fraction: number): Dataset {
  return fraction === 1 ? data : splitDataset(data, { fraction, seed: 0 }).heldOut;
}
