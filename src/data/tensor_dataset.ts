import { expectShape } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { native } from "../native.js";
import type { Labels } from "../tensor/int_tensor.js";
import { expectTensor } from "../tensor/ops.js";
import type { Tensor } from "../tensor/tensor.js";
import type { Batch } from "./dataset.js";
import { bytesOf, type DatasetOptions, LabelledDataset } from "./labelled_dataset.js";

/**
 * Examples out of tensors: inputs [n, features], not copied, and labels [n]. `torch.utils.data.TensorDataset`.
 *
 * Throws `SHAPE_MISMATCH`, `LABEL_OUT_OF_RANGE`, and `NON_FINITE` with the row and column, counted from 0.
 *
 * @example
 * ```ts
 * const dataset = new TensorDataset(tensor([[0, 1], [1, 0]]), Int32Array.of(1, 0));
 * dataset.slice(0, 1).inputs.toArray(); // [[0, 1]]
 * ```
 */
export class TensorDataset extends LabelledDataset {
  /** [length, features], outside of the tape. */
  readonly inputs: Tensor;

  constructor(inputs: Tensor, labels: Labels, options: DatasetOptions = {}) {
    expectTensor("inputs", inputs);
    expectShape("inputs", inputs.shape, [-1, -1]);
    super(inputs.shape as [number, number], labels, { ...options, name: options.name ?? "tensors" });
    expectFinite(inputs, this.features);
    this.inputs = inputs.detach();
  }

  protected override gather(indices: Int32Array, out: Float32Array): void {
    native.gatherRows(this.inputs.data, indices, out, this.length, this.features);
  }

  /** Shares memory with the tensors. */
  override slice(start: number, end: number): Batch {
    const indices = this.range(start, end);
    return { inputs: this.inputs.slice(start, end), labels: this.labels.slice(start, end), indices };
  }

  protected override content() {
    return { kind: "float32", values: bytesOf(this.inputs.data) };
  }
}

function expectFinite({ data }: Tensor, features: number): void {
  const at = native.firstNonFinite(data);
  if (at < 0) return;
  const place = `row ${Math.floor(at / features)}, column ${at % features}`;
  throw new DistilleryError("NON_FINITE", `inputs: expected finite numbers, got ${data[at]} in ${place}`);
}
