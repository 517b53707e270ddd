import { badData } from "../../files/index.js";
import { gunzip, isGzip } from "./gunzip.js";

/** The most elements of a file. */
const MAX_ELEMENTS = 2 ** 31 - 1;
const UNSIGNED_BYTE = 0x08;

/** The content of an IDX file of unsigned bytes. */
export interface Idx {
  readonly shape: readonly number[];
  /** Row by row; shares memory with a file that was not gzipped. */
  readonly data: Uint8Array;
}

/**
 * Reads the format of the MNIST family (LeCun's IDX), plain or gzipped: two zeros, the type, the number of axes, each
 * length as a big-endian 32-bit number, the elements. Accepts unsigned bytes in `rank` axes and exactly the bytes that
 * the lengths claim; `BAD_DATA` with the file's name and the place for anything else.
 */
export async function decodeIdx(bytes: Uint8Array, file: string, rank: number): Promise<Idx> {
  const offset = 4 + 4 * rank;
  const claim = (head: Uint8Array) => offset + elements(readIdxShape(head, file, rank), file);
  const content = isGzip(bytes) ? await gunzip(bytes, file, offset, claim) : bytes;
  const claimed = claim(content);
  if (content.length < claimed) throw badData(file, `truncated: claims ${claimed} bytes, has ${content.length}`);
  if (content.length > claimed) {
    throw badData(file, `claims ${claimed} bytes, but ${content.length - claimed} more follow at byte ${claimed}`);
  }
  return { shape: readIdxShape(content, file, rank), data: content.subarray(offset) };
}

/** The lengths of an IDX file's axes, out of its first bytes. */
export function readIdxShape(head: Uint8Array, file: string, rank: number): number[] {
  const [zero, alsoZero, type, axes] = head;
  const start = Buffer.from(head.subarray(0, 4)).toString("hex");
  if (axes === undefined) {
    throw badData(file, `truncated: expected an IDX file, which begins with 4 bytes, got "${start}"`);
  }
  if (zero !== 0 || alsoZero !== 0) {
    throw badData(file, `not an IDX file: byte 0: expected 0000, got ${start.slice(0, 4)}`);
  }
  if (type !== UNSIGNED_BYTE) {
    throw badData(file, `byte 2: expected the element type 08 (unsigned bytes), got ${start.slice(4, 6)}`);
  }
  if (axes !== rank) throw badData(file, `byte 3: expected ${rank} axes, got ${axes}`);
  if (head.length < 4 + 4 * rank) {
    throw badData(file, `truncated: its header has ${4 + 4 * rank} bytes, the file ${head.length}`);
  }
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  return Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
}

function elements(shape: readonly number[], file: string): number {
  const empty = shape.indexOf(0);
  if (empty >= 0) throw badData(file, `byte ${4 + 4 * empty}: axis ${empty} has a length of 0`);
  const count = shape.reduce((product, length) => product * length, 1);
  if (count <= MAX_ELEMENTS) return count;
  throw badData(file, `byte 4: a shape of [${shape.join(", ")}] is more than ${MAX_ELEMENTS} elements`);
}
