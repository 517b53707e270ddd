import type { Labels } from "../tensor/int_tensor.js";
import type { Tensor } from "../tensor/tensor.js";
import type { TableLayout } from "./dataset.js";
import type { DatasetOptions } from "./labelled_dataset.js";
import { TensorDataset } from "./tensor_dataset.js";

/** The rows of a table as values, with what made them values. */
export class TableDataset extends TensorDataset {
  readonly table: TableLayout;

  constructor(inputs: Tensor, labels: Labels, options: DatasetOptions & { table: TableLayout }) {
    super(inputs, labels, options);
    this.table = options.table;
  }
}
