import { closeSync, fstatSync, ftruncateSync, openSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { badArgument, expectPath } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { expectNotPrinted, ioError, makeFolder } from "../files/index.js";
import { PendingCallbacks } from "../pending_callbacks.js";
import { printable } from "./printable.js";

/** Where the script's helper sends what a run prints. */
export const DEFAULT_LOG_FILE = "output_results/knowledge_distillation.txt";

/**
 * Runs `body` with everything that the process prints meanwhile, on standard output and standard error, written to a
 * file as well, in UTF-8. The file's folder is made; what was printed is in the file even when the run fails. An
 * earlier file is replaced at the first text on standard output, or at the end: what fails before that adds to it. If
 * the file can't be written any more, `body` goes on without it: `onFailure` is called once, by default it prints the
 * reason on standard error.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no function, `IO_ERROR` if the file can't be opened, or is a pipe,
 * `IN_USE` if another log is written to it, before `body` runs; and whatever `body` throws.
 * @example
 * ```ts
 * await withLogFile(() => distill({ teacher, student, data }));
 * ```
 */
export async function withLogFile<T>(
  body: () => T | Promise<T>,
  file: string = DEFAULT_LOG_FILE,
  onFailure: (error: DistilleryError) => void = sayFailure,
): Promise<T> {
  return logged(body, file, { onFailure, isKept: false });
}

/** As {@link withLogFile}; an earlier file that `isKept` goes on. */
export async function logged<T>(
  body: () => T | Promise<T>,
  file: string,
  { onFailure, isKept }: { onFailure: (error: DistilleryError) => void; isKept: boolean },
): Promise<T> {
  expectPath("file", file);
  for (const [name, value] of Object.entries({ body, onFailure })) {
    if (typeof value !== "function") throw badArgument(name, "a function", value);
  }
  const descriptor = open(file);
  const answers = new PendingCallbacks();
  const fail = answers.of(onFailure);
  let hasFailed = false;
  const attempt = (change: () => void) => {
    if (hasFailed) return;
    try {
      change();
    } catch (error) {
      hasFailed = true;
      fail?.(ioError("write", file, error));
    }
  };
  /** What was printed while the earlier file is there; null once it is not. */
  let first: Uint8Array[] | null = isKept || fstatSync(descriptor).size === 0 ? null : [];
  const append = (bytes: Uint8Array) =>
    attempt(() => {
      first?.push(bytes);
      writeAll(descriptor, bytes);
    });
  const replace = () =>
    attempt(() => {
      if (first === null) return;
      ftruncateSync(descriptor);
      for (const bytes of first) writeAll(descriptor, bytes);
      first = null;
    });
  const restore = [
    tee(process.stdout, (bytes) => {
      replace();
      append(bytes);
    }),
    tee(process.stderr, append),
  ];
  try {
    const result = await body();
    // A command's failure was printed, and is its exit code.
    if (!process.exitCode) replace();
    await answers.settled();
    return result;
  } finally {
    for (const undo of restore) undo();
    OPEN.delete(fileIn(descriptor));
    closeSync(descriptor);
  }
}

function sayFailure({ message }: DistilleryError): void {
  process.stderr.write(printable(`${message}: the log ends here\n`));
}

function open(file: string): number {
  try {
    makeFolder(dirname(file), file);
    // It would wait for a reader, and for a slow one again and again.
    if (statSync(file, { throwIfNoEntry: false })?.isFIFO()) {
      throw new DistilleryError("IO_ERROR", `${file}: is a pipe, not a file: pipe the output itself, as 2>&1 | tee`);
    }
    expectNotPrinted(file);
    const descriptor = openSync(file, "a");
    const own = fileIn(descriptor);
    if (own !== null && OPEN.has(own)) {
      closeSync(descriptor);
      throw new DistilleryError("IN_USE", `${file}: another log of this process is written to it: give each its own`);
    }
    OPEN.add(own);
    return descriptor;
  } catch (error) {
    throw error instanceof DistilleryError ? error : ioError("write", file, error);
  }
}

/** The files of logs that are open. */
const OPEN = new Set<string | null>();

/** What tells a file from others; null for what is none, as /dev/null. */
function fileIn(descriptor: number): string | null {
  const stats = fstatSync(descriptor);
  return stats.isFile() ? `${stats.dev}:${stats.ino}` : null;
}

type Append = (bytes: Uint8Array) => void;

/** Who gets what a stream is given, and what puts the stream back. */
const TEED = new WeakMap<NodeJS.WriteStream, { appends: Set<Append>; restore: () => void }>();

/** Copies what a stream is given, once it has it: a crash loses nothing. The last copy to end restores the stream. */
function tee(stream: NodeJS.WriteStream, append: Append): () => void {
  const teed = TEED.get(stream) ?? hooked(stream);
  TEED.set(stream, teed);
  teed.appends.add(append);
  return () => {
    teed.appends.delete(append);
    if (teed.appends.size > 0) return;
    TEED.delete(stream);
    teed.restore();
  };
}

function hooked(stream: NodeJS.WriteStream): { appends: Set<Append>; restore: () => void } {
  const { write } = stream;
  const appends = new Set<Append>();
  stream.write = ((chunk: string | Uint8Array, ...rest: never[]) => {
    const encoding = typeof rest[0] === "string" ? rest[0] : "utf8";
    const answer = write.call(stream, chunk, ...rest);
    const bytes = typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk;
    for (const append of appends) append(bytes);
    return answer;
  }) as typeof write;
  return {
    appends,
    restore: () => {
      stream.write = write;
    },
  };
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
}
