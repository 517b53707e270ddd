import { types } from "node:util";
import * as v from "valibot";
import { badDtype, isObject, show } from "../checks.js";
import { bytesOf, openSliced, readHead, readSlice } from "../files/index.js";
import type { StateDict } from "../nn/state_dict.js";
import { integer } from "../registry/index.js";
import { tensorOf } from "../tensor/int_tensor.js";
import { numel } from "../tensor/shape.js";
import { badCheckpoint, tooMany } from "./bad_checkpoint.js";
import { elementCount } from "./shape.js";
import {
  type AnyTensor,
  STORED_TYPES,
  type StoredArray,
  type StoredTensor,
  type StoredType,
  storedTypeOf,
} from "./stored_types.js";
import { jsonProblem } from "./strict_json.js";

const LENGTH_BYTES = 8;
/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;
/** What remains for the entries of a network's tensors. */
const MAX_METADATA_BYTES = 90_000_000;
/** Levels of the JSON: the header, a tensor, its shape. */
const MAX_DEPTH = 3;
export const METADATA_KEY = "__metadata__";

const TENSOR = v.strictObject({
  dtype: v.string(),
  shape: v.array(v.number()),
  data_offsets: v.strictTuple([integer(0), integer(0)]),
});

/** The content of a `.safetensors` file. */
export interface Safetensors {
  tensors: StateDict;
  metadata: Record<string, string>;
}

/** What `encodeSafetensors` passes on after checking. */
export function safetensorsOf(tensors: StateDict, metadata: Readonly<Record<string, string>>): Uint8Array {
  const places = layOut(tensors);
  const head = headOf(places, metadata);
  const bytes = new Uint8Array(head.length + lengthOf(places));
  bytes.set(head);
  for (const { tensor, start } of places) bytes.set(bytesOf(tensor.data), head.length + start);
  return bytes;
}

/** The number of bytes that {@link safetensorsOf} makes. */
export function safetensorsBytes(tensors: StateDict, metadata: Readonly<Record<string, string>>): number {
  const places = layOut(tensors);
  return headOf(places, metadata).length + lengthOf(places);
}

/**
 * Reads the bytes of a `.safetensors` file: F32, F64, F16 and BF16 as float32, I32 and I64 as they are, I16, I8, U8 and
 * BOOL as int32. The tensors are copies. Errors begin with `name`.
 *
 * @throws DistilleryError `BAD_CHECKPOINT` if the header does not describe the bytes exactly.
 * @example
 * ```ts
 * const bytes = encodeSafetensors({ weight: tensor([1, 2]) }, { epochs: "12" });
 * decodeSafetensors(bytes, "weights").metadata.epochs; // "12"
 * ```
 */
export function decodeSafetensors(bytes: Uint8Array, name: string): Safetensors {
  if (!types.isUint8Array(bytes)) throw badDtype("bytes", "a Uint8Array", bytes);
  const { stored, metadata } = readStored(bytes, name);
  return { tensors: Object.fromEntries(stored.map(({ key, tensor }) => [key, tensor])), metadata };
}

/** {@link decodeSafetensors} with the types that the tensors have in the file. */
export function readStored(
  bytes: Uint8Array,
  name: string,
): { stored: StoredTensor[]; metadata: Record<string, string> } {
  const { tensors, metadata } = readHeader(bytes, name, bytes.length);
  const stored = tensors.map(({ key, type, shape, start, end }) => ({
    key,
    dtype: type.dtype,
    tensor: tensorOf(type.decode(bytes.subarray(start, end)), shape),
  }));
  return { stored, metadata };
}

/** A tensor that stays in its `.safetensors` file. */
interface SafetensorsArray {
  readonly shape: readonly number[];
  /** The elements of the rows `start` to `end` (exclusive) along the first axis. */
  read(start: number, end: number): StoredArray;
}

/** Opens a `.safetensors` file whose tensors are read in parts; the errors are those of {@link decodeSafetensors}. */
export async function openSafetensors(
  file: string,
): Promise<{ tensors: ReadonlyMap<string, SafetensorsArray>; metadata: Record<string, string> }> {
  const sliced = await openSliced(file);
  const start = readHead(sliced, LENGTH_BYTES);
  const length = start.length < LENGTH_BYTES ? 0 : Number(new DataView(start.buffer).getBigUint64(0, true));
  const { tensors, metadata } = readHeader(
    readHead(sliced, LENGTH_BYTES + Math.min(length, MAX_HEADER_BYTES)),
    file,
    sliced.size,
  );
  const arrays = tensors.map(({ key, type, shape, start: first }): [string, SafetensorsArray] => {
    const stride = type.width * numel(shape.slice(1));
    const read = (from: number, to: number) => {
      const bytes = new Uint8Array((to - from) * stride);
      readSlice(sliced, first + from * stride, bytes);
      return type.decode(bytes);
    };
    return [key, { shape, read }];
  });
  return { tensors: new Map(arrays), metadata };
}

/**
 * Refuses metadata that {@link safetensorsOf} would not write beside a network's tensors, before the work whose result
 * is written.
 */
export function expectMetadata(argument: string, metadata: Readonly<Record<string, string>>): void {
  const bytes = Buffer.byteLength(JSON.stringify(metadata));
  if (bytes > MAX_METADATA_BYTES) throw tooMany(argument, bytes, MAX_METADATA_BYTES);
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

/** The byte range of each tensor: wider types first, so that each is aligned to its width. */
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

function headOf(places: readonly Place[], metadata: Readonly<Record<string, string>>): Uint8Array {
  const fields = places.map(({ key, tensor, start, end }): [string, HeaderField] => [
    key,
    { dtype: storedTypeOf(tensor).safetensors, shape: tensor.shape, data_offsets: [start, end] },
  ]);
  return safetensorsHead("tensors", Object.fromEntries(fields), metadata);
}

/** What the header says of a tensor. */
interface HeaderField {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** What precedes the elements in a `.safetensors` file: the header's length and the header. */
export function safetensorsHead(
  argument: string,
  tensors: Readonly<Record<string, HeaderField>>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const hasTexts = Object.keys(metadata).length > 0;
  const json = JSON.stringify({ ...(hasTexts && { [METADATA_KEY]: metadata }), ...tensors });
  // Padded with spaces, as the format allows, so that the elements begin at a multiple of 8.
  const header = Buffer.from(json + " ".repeat((8 - (Buffer.byteLength(json) % 8)) % 8));
  if (header.length > MAX_HEADER_BYTES) throw tooMany(argument, header.length, MAX_HEADER_BYTES);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header]);
}

/** A tensor of the header, its byte range checked. */
interface HeaderTensor {
  readonly key: string;
  readonly type: StoredType;
  readonly shape: readonly number[];
  /** Offsets in the file: the first byte of the elements, and the byte after the last. */
  readonly start: number;
  readonly end: number;
}

interface Header {
  readonly tensors: HeaderTensor[];
  readonly metadata: Record<string, string>;
}

/** The header of a .safetensors file of `size` bytes; `BAD_CHECKPOINT` unless it describes the bytes exactly. */
function readHeader(bytes: Uint8Array, name: string, size: number): Header {
  const { json, dataStart } = headerText(bytes, name, size);
  const tensors: HeaderTensor[] = [];
  let metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(parseObject(json, name))) {
    if (key === METADATA_KEY) metadata = readTexts(value, name);
    else tensors.push(readTensor(key, value, dataStart, name));
  }
  checkCoverage(tensors, dataStart, size, name);
  return { tensors, metadata };
}

function headerText(bytes: Uint8Array, name: string, size: number): { json: string; dataStart: number } {
  if (bytes.length < LENGTH_BYTES) throw badCheckpoint(name, `${bytes.length} bytes: too short for .safetensors`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > size - LENGTH_BYTES) {
    throw badCheckpoint(name, `truncated: its header has ${length} bytes, the file ${size}`);
  }
  if (length > MAX_HEADER_BYTES)
    throw badCheckpoint(name, `its header has ${length} bytes, at most ${MAX_HEADER_BYTES}`);
  const dataStart = LENGTH_BYTES + Number(length);
  try {
    const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    return { json: utf8.decode(bytes.subarray(LENGTH_BYTES, dataStart)), dataStart };
  } catch (error) {
    throw badCheckpoint(name, "its header is not UTF-8", error);
  }
}

function parseObject(json: string, name: string): object {
  if (!json.startsWith("{")) throw badCheckpoint(name, "its header does not begin with {");
  const problem = jsonProblem(json, MAX_DEPTH);
  if (problem !== null) throw badCheckpoint(name, `in its header, ${problem}`);
  try {
    return JSON.parse(json) as object;
  } catch (error) {
    throw badCheckpoint(name, "its header is not JSON", error);
  }
}

function readTensor(key: string, value: unknown, dataStart: number, name: string): HeaderTensor {
  const { dtype, shape, data_offsets: offsets } = check(TENSOR, value, key, name);
  const type = STORED_TYPES.find(({ safetensors }) => safetensors === dtype);
  if (type === undefined) {
    const read = STORED_TYPES.map(({ safetensors }) => safetensors).join(", ");
    throw badCheckpoint(name, `${show(key)} is of type ${show(dtype)}; only ${read} are read`);
  }
  const size = elementCount(key, shape);
  if ("problem" in size) throw badCheckpoint(name, size.problem);
  if (offsets[1] - offsets[0] !== size.count * type.width) {
    const expected = `${size.count * type.width} bytes for [${shape.join(", ")}] in ${dtype}`;
    throw badCheckpoint(name, `${show(key)}: expected ${expected}, got ${offsets[1] - offsets[0]}`);
  }
  return { key, type, shape, start: dataStart + offsets[0], end: dataStart + offsets[1] };
}

/** The metadata. Checked by hand: valibot's record drops keys such as "constructor". */
function readTexts(value: unknown, name: string): Record<string, string> {
  const place = `in its header, ${show(METADATA_KEY)}`;
  if (!isObject(value)) {
    throw badCheckpoint(name, `${place}: expected texts by their keys`);
  }
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string")
      throw badCheckpoint(name, `${place}.${show(key)}: expected a text, got ${show(text)}`);
  }
  return value as Record<string, string>;
}

/** The tensors lie one after the other, without gap or overlap, up to the end of the file. */
function checkCoverage(tensors: readonly HeaderTensor[], dataStart: number, fileLength: number, name: string): void {
  let end = dataStart;
  for (const tensor of [...tensors].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (tensor.start !== end) {
      throw badCheckpoint(
        name,
        `${show(tensor.key)} ${tensor.start < end ? "overlaps" : "leaves a gap after"} another`,
      );
    }
    end = tensor.end;
  }
  if (end > fileLength) throw badCheckpoint(name, `truncated: its tensors end at ${end}, the file at ${fileLength}`);
  if (end < fileLength) throw badCheckpoint(name, `${fileLength - end} bytes follow its last tensor`);
}

function check<S extends v.GenericSchema>(schema: S, value: unknown, key: string, name: string): v.InferOutput<S> {
  const { success, output, issues } = v.safeParse(schema, value);
  if (success) return output;
  const [issue] = issues;
  // An unknown field is an issue of the object.
  const path = (issue.path ?? []).slice(0, issue.expected === "never" ? -1 : undefined);
  const place = [show(key), ...path.map((part) => show(String(part.key)))].join(".");
  throw badCheckpoint(name, `in its header, ${place}: ${issue.message}`);
}
