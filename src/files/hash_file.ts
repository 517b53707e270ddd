import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { ioError } from "./file_errors.js";

/** SHA-256 in hex over a file, as it is. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash).catch((error: unknown) => {
    throw ioError("read", path, error);
  });
  return hash.digest("hex");
}
