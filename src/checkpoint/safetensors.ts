import type { StateDict } from "../nn/state_dict.js";
import { tooMany } from "./bad_checkpoint.js";
import { MAX_HEADER_BYTES, METADATA_KEY, readHeader } from "./safetensors_header.js";
import { type AnyTensor, bytesOf, type StoredTensor, storedTypeOf, tensorOf } from "./stored_types.js";

/** What a `.safetensors` file holds. */
export interface Safetensors {
  tensors: StateDict;
  metadata: Record<string, string>;
}

/**
 * The bytes of a `.safetensors` file: float32 tensors as F32, int32 as I32, int64 as I64, in the header under their
 * keys in the order given, and the optional texts of `metadata`. The same input gives the same bytes.
 *
 * @example
 * ```ts
 * const bytes = encodeSafetensors(student.stateDict(), { epochs: "150" });
 * ```
 */
export function encodeSafetensors(tensors: StateDict, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const places = layOut(tensors);
  const header = headerBytes(places, metadata);
  const bytes = new Uint8Array(8 + header.length + lengthOf(places));
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, 8);
  for (const { tensor, start } of places) bytes.set(bytesOf(tensor), 8 + header.length + start);
  return bytes;
}

/** How many bytes {@link encodeSafetensors} makes of a state dict. */
export function safetensorsBytes(tensors: StateDict): number {
  const places = layOut(tensors);
  return 8 + headerBytes(places, {}).length + lengthOf(places);
}

/**
 * Reads the bytes of a `.safetensors` file: F32, F64, F16 and BF16 as float32, I32 and I64 as they are, I16, I8, U8
 * and BOOL as int32. The tensors are copies. `name` stands in errors.
 *
 * @throws DistilleryError `BAD_CHECKPOINT` when the header says anything that is not true of the bytes.
 */
export function decodeSafetensors(bytes: Uint8Array, name: string): Safetensors {
  const { stored, metadata } = readStored(bytes, name);
  return { tensors: Object.fromEntries(stored.map(({ key, tensor }) => [key, tensor])), metadata };
}

/** As {@link decodeSafetensors}, with the types that the tensors have in the file. */
export function readStored(
  bytes: Uint8Array,
  name: string,
): { stored: StoredTensor[]; metadata: Record<string, string> } {
  const { tensors, metadata } = readHeader(bytes, name);
  const stored = tensors.map(({ key, type, shape, start, end }) => ({
    key,
    dtype: type.dtype,
    tensor: tensorOf(type.decode(bytes.subarray(start, end)), shape),
  }));
  return { stored, metadata };
}

function lengthOf(places: readonly Place[]): number {
  return places.reduce((max, { end }) => Math.max(max, end), 0);
}

interface Place {
  readonly key: string;
  readonly tensor: AnyTensor;
  readonly start: number;
  readonly end: number;
}

/** Where each tensor's elements go: the wider types first, so that every one lies at a multiple of its width. */
function layOut(tensors: StateDict): Place[] {
  let end = 0;
  const wide = ([, tensor]: [string, AnyTensor]) => storedTypeOf(tensor).width;
  const places = Object.entries(tensors)
    .sort((a, b) => wide(b) - wide(a))
    .map(([key, tensor]) => {
      const start = end;
      end += tensor.data.byteLength;
      return { key, tensor, start, end };
    });
  const byKey = new Map(places.map((place) => [place.key, place]));
  return Object.keys(tensors).map((key) => byKey.get(key) as Place);
}

function headerBytes(places: readonly Place[], metadata: Readonly<Record<string, string>>): Buffer {
  const fields = places.map(({ key, tensor, start, end }): [string, unknown] => [
    key,
    { dtype: storedTypeOf(tensor).safetensors, shape: tensor.shape, data_offsets: [start, end] },
  ]);
  if (Object.keys(metadata).length > 0) fields.unshift([METADATA_KEY, metadata]);
  // Spaces, as the format allows, so that the elements begin at a multiple of 8.
  const json = JSON.stringify(Object.fromEntries(fields));
  const header = Buffer.from(json + " ".repeat((8 - (Buffer.byteLength(json) % 8)) % 8));
  if (header.length > MAX_HEADER_BYTES) throw tooMany("tensors", header.length, MAX_HEADER_BYTES);
  return header;
}
