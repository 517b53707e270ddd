import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { ioError } from "../files/index.js";

/** Where the script's helper sends what a run prints. */
export const DEFAULT_LOG_FILE = "output_results/knowledge_distillation.txt";

/**
 * Runs `body` with everything that the process prints meanwhile, on standard output and standard error, written to a
 * file as well, in UTF-8. The file's folder is made; what was printed is in the file even when the run fails.
 *
 * @throws DistilleryError `IO_ERROR` if the file can't be written, before `body` runs; and whatever `body` throws.
 * @example
 * ```ts
 * await withLogFile(() => distill({ teacher, student, data }));
 * ```
 */
export async function withLogFile<T>(body: () => T | Promise<T>, file: string = DEFAULT_LOG_FILE): Promise<T> {
  const descriptor = open(file);
  const restore = [process.stdout, process.stderr].map((stream) => tee(stream, descriptor, file));
  try {
    return await body();
  } finally {
    for (const undo of restore) undo();
    closeSync(descriptor);
  }
}

function open(file: string): number {
  try {
    mkdirSync(dirname(file), { recursive: true });
    return openSync(file, "w");
  } catch (error) {
    throw ioError("write", file, error);
  }
}

/** Copies what a stream is given into the file, at once: a crash loses nothing. */
function tee(stream: NodeJS.WriteStream, descriptor: number, file: string): () => void {
  const write = stream.write;
  stream.write = ((chunk: string | Uint8Array, ...rest: never[]) => {
    const encoding = typeof rest[0] === "string" ? rest[0] : "utf8";
    try {
      writeAll(descriptor, typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk);
    } catch (error) {
      throw ioError("write", file, error);
    }
    return write.call(stream, chunk, ...rest);
  }) as typeof write;
  return () => {
    stream.write = write;
  };
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
}
