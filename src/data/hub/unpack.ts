import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline, Readable, Transform } from "node:stream";
import { createGunzip } from "node:zlib";
import { DistilleryError } from "../../errors.js";
import { badData, ioError } from "../../files/index.js";

const CHUNK = 2 ** 18;
/** How many bytes an archive of some size may unpack to; CIFAR's, of pixels, to 1.1 times its size. */
const largest = (size: number) => 1e7 + 50 * size;

/**
 * Takes files out of a gzipped tar archive: the regular files of these names in its folder `inside`, and nothing else,
 * whatever else its entries are called. Each is written into `folder` whole or not at all.
 *
 * `BAD_DATA` for an archive that is damaged or lacks one of them.
 */
export async function unpack(archive: string, inside: string, names: readonly string[], folder: string): Promise<void> {
  const { createTarDecoder } = await import("modern-tar");
  const missing = new Set(names);
  const limit = largest((await stat(archive)).size);
  const bytes = pipeline(createReadStream(archive), createGunzip({ chunkSize: CHUNK }), limited(limit), () => {});
  const entries = (Readable.toWeb(bytes) as ReadableStream<Uint8Array>).pipeThrough(createTarDecoder({ strict: true }));
  try {
    for await (const { header, body } of entries) {
      const [name, ...parents] = header.name.replace(/^\.\//, "").split("/").reverse();
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

/** Passes `limit` bytes on, and fails at the next. */
function limited(limit: number): Transform {
  let passed = 0;
  return new Transform({
    transform(chunk: Uint8Array, _, done) {
      passed += chunk.length;
      if (passed > limit) done(new Error("unpacks to far more than its size"));
      else done(null, chunk);
    },
  });
}

/** Writes what comes beside the file, syncs, renames. */
async function writeStream(file: string, body: AsyncIterable<Uint8Array>): Promise<void> {
  const part = `${file}.part`;
  // What is there may be a link.
  await rm(part, { force: true }).catch(refused(part));
  const handle = await open(part, "wx").catch(refused(part));
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
