import type { Dataset } from "./dataset.js";
import { DerivedDataset } from "./derived_dataset.js";
import { LabelledDataset } from "./labelled_dataset.js";
import { StreamedDataset } from "./streamed/streamed_dataset.js";

/**
 * Whether a batch can be asked for twice: it costs little, and what is random in it comes from the current stream. Data
 * sets of one's own may count on being asked once.
 */
export function isCheapToRepeat(data: Dataset): boolean {
  if (data instanceof DerivedDataset) return isCheapToRepeat(data.dataset);
  return data instanceof LabelledDataset || data instanceof StreamedDataset;
}
