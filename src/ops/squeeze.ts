import { argumentError } from "../checks.js";
import { axisOf, axisOrAll, numel } from "../tensor/shape.js";
import { expectTensor, type Tensor } from "../tensor/tensor.js";
import { defineMethods } from "./methods.js";
import { reshape } from "./reshape.js";

declare module "../tensor/tensor.js" {
  interface Tensor {
    /** Without the axes of length 1, or without one of them. `torch.squeeze`. */
    squeeze(dim?: number): Tensor;
    /** With an axis of length 1 before axis `dim`. `torch.unsqueeze`. */
    unsqueeze(dim: number): Tensor;
    /** With the axes from start to end as one. `torch.flatten`. */
    flatten(startDim?: number, endDim?: number): Tensor;
  }
}

/** x without its axes of length 1, or without axis `dim` if its length is 1; shares memory. `torch.squeeze`. */
export function squeeze(x: Tensor, dim?: number): Tensor {
  expectTensor("squeeze: x", x);
  const only = dim === undefined ? null : axisOrAll(x.shape, dim);
  return reshape(
    x,
    x.shape.filter((length, axis) => length !== 1 || (only !== null && axis !== only)),
  );
}

/** x with an axis of length 1 before axis `dim` (-1: after the last one); shares memory. `torch.unsqueeze`. */
export function unsqueeze(x: Tensor, dim: number): Tensor {
  expectTensor("unsqueeze: x", x);
  const axis = axisOf([1, ...x.shape], dim);
  return reshape(x, [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)]);
}

/** x with its axes from `startDim` to `endDim` as one; shares memory. `torch.flatten`. */
export function flatten(x: Tensor, startDim = 0, endDim = -1): Tensor {
  expectTensor("flatten: x", x);
  if (x.shape.length === 0) return reshape(x, [1]);
  const [start, end] = [axisOf(x.shape, startDim), axisOf(x.shape, endDim)];
  if (start > end) {
    throw argumentError("flatten", `endDim: expected an axis from startDim on, got ${endDim}`);
  }
  const middle = numel(x.shape.slice(start, end + 1));
  return reshape(x, [...x.shape.slice(0, start), middle, ...x.shape.slice(end + 1)]);
}

defineMethods({ squeeze, unsqueeze, flatten });
