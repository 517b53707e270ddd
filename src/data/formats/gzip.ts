import { createGunzip } from "node:zlib";
import { badData } from "../../files/index.js";

/** Output is taken in parts of this many bytes. */
const CHUNK = 2 ** 18;
/** DEFLATE makes at most this many bytes of one. */
const MAX_RATIO = 1032;

/** Whether bytes begin as gzip does (RFC 1952). */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * Inflates gzip to exactly the number of bytes that its content claims: `claim` reads that from the first `head` bytes.
 * What inflates to more is given up at once, and a claim that the file is too short for allocates nothing.
 */
export async function gunzip(
  bytes: Uint8Array,
  file: string,
  head: number,
  claim: (head: Uint8Array) => number,
): Promise<Uint8Array> {
  let [out, filled] = [new Uint8Array(0), 0];
  let [pending, claimed] = [new Uint8Array(0), -1];
  for await (const chunk of inflated(bytes, file)) {
    let part = chunk;
    if (claimed < 0) {
      part = pending = new Uint8Array(Buffer.concat([pending, chunk]));
      if (pending.length < head) continue;
      claimed = expectBacked(claim(pending), bytes.length, file);
      out = new Uint8Array(claimed);
    }
    if (filled + part.length > claimed) throw badData(file, `inflates to more than the ${claimed} bytes it claims`);
    out.set(part, filled);
    filled += part.length;
  }
  if (claimed < 0) claimed = claim(pending);
  if (filled < claimed) throw badData(file, `truncated: claims ${claimed} bytes, inflates to ${filled}`);
  return out;
}

async function* inflated(bytes: Uint8Array, file: string): AsyncGenerator<Uint8Array> {
  const stream = createGunzip({ chunkSize: CHUNK });
  stream.end(bytes);
  try {
    for await (const chunk of stream) yield chunk;
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    const problem =
      code === "Z_BUF_ERROR" ? "truncated: its gzip data ends early" : `its gzip data is damaged: ${message}`;
    throw badData(file, problem, error);
  }
}

function expectBacked(claimed: number, length: number, file: string): number {
  if (claimed <= length * MAX_RATIO) return claimed;
  throw badData(file, `truncated: claims ${claimed} bytes, more than its ${length} bytes of gzip can hold`);
}
