import type { Dataset } from "../data/dataset.js";
import { DataLoader } from "../data/loader.js";
import type { ResolvedTraining } from "./options.js";

/** The optimizer's steps of an epoch: `accumulate` batches each, the last of what remains. */
export function stepsPerEpoch(
  data: Dataset,
  { batchSize, dropLast, accumulate }: Pick<ResolvedTraining, "batchSize" | "dropLast" | "accumulate">,
): number {
  return Math.ceil(new DataLoader(data, { batchSize, dropLast }).length / accumulate);
}
