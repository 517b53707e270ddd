import { badData } from "../../files/index.js";

/** The longest text that Node.js keeps in one piece. */
const MAX_BYTES = 2 ** 29 - 25;

/** The text of a file in UTF-8, without a byte order mark, its lines ended by "\n"; `BAD_DATA` for other bytes. */
export function decodeText(bytes: Uint8Array, file: string): string {
  if (bytes.length > MAX_BYTES) throw badData(file, `${bytes.length} bytes of text; at most ${MAX_BYTES} are read`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw badData(file, `not text in UTF-8: ${beginning(bytes)}`, error);
  }
  return text.includes("\r") ? text.replaceAll(/\r\n?/g, "\n") : text;
}

function beginning(bytes: Uint8Array): string {
  return `it begins with ${Buffer.from(bytes.subarray(0, 4)).toString("hex")}`;
}
