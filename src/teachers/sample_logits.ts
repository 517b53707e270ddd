import { DistilleryError } from "../errors.js";
import type { Outputs } from "../losses/loss.js";
import { rowOf } from "../slices.js";
import { allocate } from "../tensor/buffer_pool.js";
import { Tensor } from "../tensor/tensor.js";

/** The logits [n, classes] of the samples of these indices; `read` writes those of one sample. */
export function logitsAt(
  indices: Int32Array,
  classes: number,
  read: (index: number, out: Float32Array) => void,
): Outputs {
  const logits = allocate(indices.length * classes);
  for (let i = 0; i < indices.length; i++) read(indices[i], rowOf(logits, i, classes));
  return { logits: new Tensor(logits, [indices.length, classes]), taps: {} };
}

/**
 * Refuses logits [n, classes] that are not finite, with the sample's index and the class. `indices` lists the samples,
 * or is the index of the first.
 */
export function expectFiniteLogits(
  place: string,
  logits: Float32Array,
  classes: number,
  indices: Int32Array | number,
): void {
  const at = logits.findIndex((x) => !Number.isFinite(x));
  if (at < 0) return;
  const row = Math.floor(at / classes);
  const sample = typeof indices === "number" ? indices + row : indices[row];
  const text = `sample ${sample}, class ${at % classes}: expected a finite number, got ${logits[at]}`;
  throw new DistilleryError("NON_FINITE", `${place}: ${text}`);
}
