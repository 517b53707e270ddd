import * as v from "valibot";
import { show } from "../checks.js";
import { badCheckpoint, quote } from "./bad_checkpoint.js";
import { jsonProblem } from "./json_keys.js";
import { elementCount } from "./shape.js";
import { STORED_TYPES, type StoredType } from "./stored_types.js";

/** A tensor of the header, its place in the file checked. */
export interface HeaderTensor {
  readonly key: string;
  readonly type: StoredType;
  readonly shape: readonly number[];
  /** Bytes from the file's begin to the elements, and past them. */
  readonly start: number;
  readonly end: number;
}

export interface Header {
  readonly tensors: HeaderTensor[];
  readonly metadata: Record<string, string>;
}

const LENGTH_BYTES = 8;
export const MAX_HEADER_BYTES = 2 ** 24;
/** The header, a tensor, its shape. */
const MAX_DEPTH = 3;
export const METADATA_KEY = "__metadata__";

const OFFSET = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const TENSOR = v.strictObject({
  dtype: v.string(),
  shape: v.array(v.number()),
  data_offsets: v.strictTuple([OFFSET, OFFSET]),
});

/** The header of a .safetensors file, where everything that it says is true of the bytes; `BAD_CHECKPOINT` otherwise. */
export function readHeader(bytes: Uint8Array, name: string): Header {
  const { json, dataStart } = headerText(bytes, name);
  const tensors: HeaderTensor[] = [];
  let metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(parseObject(json, name))) {
    if (key === METADATA_KEY) metadata = readTexts(value, name);
    else tensors.push(readTensor(key, value, dataStart, name));
  }
  checkCoverage(tensors, dataStart, bytes.length, name);
  return { tensors, metadata };
}

function headerText(bytes: Uint8Array, name: string): { json: string; dataStart: number } {
  if (bytes.length < LENGTH_BYTES) throw badCheckpoint(name, `${bytes.length} bytes: too short for .safetensors`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > bytes.length - LENGTH_BYTES) {
    throw badCheckpoint(name, `truncated: its header has ${length} bytes, the file ${bytes.length}`);
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
    throw badCheckpoint(name, `${quote(key)} is of type ${quote(dtype)}; only ${read} are read`);
  }
  const size = elementCount(key, shape);
  if ("problem" in size) throw badCheckpoint(name, size.problem);
  if (offsets[1] - offsets[0] !== size.count * type.width) {
    const expected = `${size.count * type.width} bytes for [${shape.join(", ")}] in ${dtype}`;
    throw badCheckpoint(name, `${quote(key)}: expected ${expected}, got ${offsets[1] - offsets[0]}`);
  }
  return { key, type, shape, start: dataStart + offsets[0], end: dataStart + offsets[1] };
}

/** The texts of the metadata. By hand: valibot's record leaves out keys such as "constructor". */
function readTexts(value: unknown, name: string): Record<string, string> {
  const place = `in its header, ${quote(METADATA_KEY)}`;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badCheckpoint(name, `${place}: expected texts by their keys`);
  }
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string")
      throw badCheckpoint(name, `${place}.${quote(key)}: expected a text, got ${show(text)}`);
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
        `${quote(tensor.key)} ${tensor.start < end ? "overlaps" : "leaves a gap after"} another`,
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
  // A field that is unknown is a problem of the object.
  const path = (issue.path ?? []).slice(0, issue.expected === "never" ? -1 : undefined);
  const place = [quote(key), ...path.map((part) => quote(String(part.key)))].join(".");
  throw badCheckpoint(name, `in its header, ${place}: ${issue.message}`);
}
