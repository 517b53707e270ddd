import type { IntTensor, Tensor, TensorDataset } from "distillery";

/** Some examples, and where they start in the data. */
export interface CycledBatch {
  readonly inputs: Tensor;
  readonly labels: IntTensor;
  readonly start: number;
}

/** The batches of a data set in order, over and over. */
export function cycle(data: TensorDataset, rows: number): { readonly length: number; next(): CycledBatch } {
  let at = 0;
  return {
    length: data.length / rows,
    next: () => {
      const start = at;
      at = (at + rows) % data.length;
      const { inputs, labels } = data.slice(start, start + rows);
      return { inputs, labels, start };
    },
  };
}
