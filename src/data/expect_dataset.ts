import { expectInteger, show } from "../checks.js";
import { DistilleryError } from "../errors.js";
import type { Dataset } from "./dataset.js";

/** A data set of one example at least; otherwise `BAD_DTYPE` or `BAD_ARGUMENT`. */
export function expectDataset(dataset: Dataset): Dataset {
  if (typeof dataset?.batch !== "function" || typeof dataset.slice !== "function") {
    throw new DistilleryError("BAD_DTYPE", `dataset: expected a Dataset, got ${show(dataset)}`);
  }
  expectInteger("dataset.length", dataset.length, 1, 2 ** 31 - 1);
  return dataset;
}
