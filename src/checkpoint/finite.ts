import { native } from "../native.js";
import { Tensor } from "../tensor/tensor.js";
import { badCheckpoint, quote } from "./bad_checkpoint.js";
import type { AnyTensor } from "./stored_types.js";

/**
 * Refuses a float tensor that holds NaN or an infinity, by its key. Each memory is looked through once, however many
 * tensors lie in it.
 */
export function refuseNonFinite(tensors: Iterable<readonly [key: string, tensor: AnyTensor]>, name: string): void {
  const known = new Map<ArrayBufferLike, readonly number[]>();
  for (const [key, tensor] of tensors) {
    if (!(tensor instanceof Tensor)) continue;
    const { buffer, byteOffset, length } = tensor.data;
    const places = known.get(buffer) ?? nonFinite(new Float32Array(buffer));
    known.set(buffer, places);
    if (places.length === 0) continue;
    const start = byteOffset / Float32Array.BYTES_PER_ELEMENT;
    const place = places[firstFrom(places, start)] ?? Number.POSITIVE_INFINITY;
    if (place >= start + length) continue;
    const found = `${tensor.data[place - start]} as its element ${place - start}`;
    throw badCheckpoint(name, `${quote(key)} holds ${found}; the option allowNonFinite reads it all the same`);
  }
}

/** The places of NaN and infinities, in order. */
function nonFinite(data: Float32Array): number[] {
  const places: number[] = [];
  const first = native.firstNonFinite(data);
  if (first < 0) return places;
  for (let i = first; i < data.length; i++) if (!Number.isFinite(data[i])) places.push(i);
  return places;
}

/** The index of the first number that is at least `start`. */
function firstFrom(sorted: readonly number[], start: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < start) low = middle + 1;
    else high = middle;
  }
  return low;
}
