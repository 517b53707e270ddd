import { createReadStream } from "node:fs";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { DistilleryError } from "../../errors.js";
import { badData, ioError } from "../../files/index.js";

const CHUNK = 2 ** 18;

/**
 * Takes files out of a gzipped tar archive: the regular files of these names in its folder `inside`, and nothing else,
 * whatever else its entries are called. Each is written into `folder` whole or not at all.
 *
 * `BAD_DATA` for an archive that is damaged or lacks one of them.
 */
export async function unpack(archive: string, inside: string, names: readonly string[], folder: string): Promise<void> {
  const { createTarDecoder } = await import("modern-tar");
  const missing = new Set(names);
  const bytes = pipeline(createReadStream(archive), createGunzip({ chunkSize: CHUNK }), () => {});
  const entries = (Readable.toWeb(bytes) as ReadableStream<Uint8Array>).pipeThrough(createTarDecoder({ strict: true }));
  try {
    for await (const { header, body } of entries) {
      const [name, ...parents] = header.name.replace(/^\.\//, "").split("/").reverse() as [string, ...string[]];
      const here = header.type === "file" && parents.join() === inside;
      if (here && missing.delete(name)) await writeStream(join(folder, name), body);
      else await body.cancel();
    }
  } catch (error) {
    if (error instanceof DistilleryError) throw error;
    throw badData(archive, `can't be unpacked: ${(error as Error).message}`, error);
  }
  if (missing.size > 0) throw badData(archive, `expected ${[...missing].join(", ")} in its folder ${inside}`);
}

/** Writes what comes beside the file, syncs, renames. */
async function writeStream(file: string, body: AsyncIterable<Uint8Array>): Promise<void> {
  const part = `${file}.part`;
  const handle = await open(part, "w").catch(refused(part));
  try {
    for await (const chunk of body) await handle.appendFile(chunk).catch(refused(part));
    await handle.sync().catch(refused(part));
  } finally {
    await handle.close();
  }
  await rename(part, file).catch(refused(file));
}

function refused(file: string): (error: unknown) => never {
  return (error) => {
    throw ioError("write", file, error);
  };
}
