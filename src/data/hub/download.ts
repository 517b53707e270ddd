import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline, Readable, Transform } from "node:stream";
import { createGunzip } from "node:zlib";
import { badArgument, expectOptions } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData, ioError, makeFolder } from "../../files/index.js";
import { native } from "../../native.js";
import { PendingCallbacks } from "../../pending_callbacks.js";
import type { DatasetInfo, PublicFile } from "./catalog.js";
import { type FetchOptions, fetchFile, publicAddress, ServerFailure } from "./fetch_file.js";
import { cachedAt, datasetInfo, type FoundData, type Location, locate, lookInto, wholeSet } from "./locate.js";

/** The options of {@link downloadData}. */
export interface DownloadOptions {
  /**
   * The http(s) address of a folder with the files, instead of the public mirrors; default: the subfolder with the
   * set's name of `$DISTILLERY_MIRROR`, if that is set.
   */
  from?: string;
  /** Stops the download; a later call continues it. */
  signal?: AbortSignal;
  /** Called whenever more of a file is there. */
  onProgress?: (progress: DownloadProgress) => unknown;
}

/** The progress of a download. */
export interface DownloadProgress {
  /** The name of the present file. */
  file: string;
  /** The bytes of the present file that were received. */
  received: number;
  /** The size of the present file. */
  bytes: number;
  /** The bytes that were received of all files that were missing. */
  allReceived: number;
  /** The size of all files that were missing. */
  allBytes: number;
}

const LOCK = "download.lock";

const TIMEOUTS = { stallMs: 30_000, retryMs: 1000 };

/**
 * Downloads a data set of the catalog into the user's cache folder (`$DISTILLERY_CACHE`, else the system's folder for
 * caches), where {@link findData} finds it; does nothing if it is on this machine already. Continues an earlier call
 * that was stopped or cut off. Each file is there whole and with the right SHA-256, or not at all.
 *
 * @throws DistilleryError `BAD_ARGUMENT`; `IO_ERROR` or `NOT_FOUND` if no mirror has it, with the files to place by
 * hand; `BAD_DATA` if a mirror has another file; `ABORTED` by the signal; `IN_USE` if another process downloads it.
 * @example
 * ```ts
 * const { folder } = await downloadData("kmnist");
 * const { train, test } = await loadData("kmnist");
 * ```
 */
export async function downloadData(name: string, options: DownloadOptions = {}): Promise<FoundData> {
  expectOptions("downloadData", options, ["from", "signal", "onProgress"]);
  return download(name, datasetInfo(name), options, TIMEOUTS);
}

/** {@link downloadData} with an entry of its own and its own timeouts. */
export async function download(
  name: string,
  info: DatasetInfo,
  options: DownloadOptions,
  timeouts: Pick<FetchOptions, "stallMs" | "retryMs">,
): Promise<FoundData> {
  const mirrors = mirrorsOf(name, info, options);
  const location = await locate(name, info);
  const folder = cachedAt(name);
  if (location !== null && (location.folder !== folder || isWhole(location))) return wholeSet(name, info, location);
  makeFolder(folder);
  const lock = native.lockFile(join(folder, LOCK));
  if (lock === null) {
    throw new DistilleryError("IN_USE", `${folder}: another process downloads it: wait for its end, then try again`);
  }
  try {
    const missing = missingOf(info, await lookInto(folder, info));
    const answers = new PendingCallbacks();
    const onProgress = answers.of(options.onProgress);
    await receive(missing, mirrors, folder, { ...options, onProgress, ...timeouts });
    await answers.settled();
    if (info.unpacked !== undefined && missing.length > 0) await unpackAll(info, info.unpacked, folder);
  } finally {
    // On Windows only what is not locked can go; and if another process has it open, it stays.
    lock.release();
    await rm(join(folder, LOCK), { force: true }).catch(() => {});
  }
  return wholeSet(name, info, await lookInto(folder, info));
}

function isWhole({ files }: Location): boolean {
  return files.every((file) => file !== undefined);
}

/** What is to be downloaded for the files that a folder lacks. */
function missingOf({ unpacked, downloads }: DatasetInfo, location: Location): readonly PublicFile[] {
  if (unpacked !== undefined) return isWhole(location) ? [] : downloads;
  return downloads.filter((_, i) => location.files[i] === undefined);
}

async function receive(
  files: readonly PublicFile[],
  mirrors: readonly string[],
  folder: string,
  { signal, onProgress, ...timeouts }: DownloadOptions & Pick<FetchOptions, "stallMs" | "retryMs">,
): Promise<void> {
  const sizeOf = (some: readonly PublicFile[]) => some.reduce((sum, { bytes }) => sum + bytes, 0);
  const allBytes = sizeOf(files);
  for (const [i, file] of files.entries()) {
    const { name, bytes } = file;
    const before = sizeOf(files.slice(0, i));
    const onBytes = (received: number) =>
      onProgress?.({ file: name, received, bytes, allReceived: before + received, allBytes });
    const urls = mirrors.map((mirror) => `${mirror}/${name}`);
    try {
      await fetchFile(urls, file, join(folder, name), { ...timeouts, signal, onBytes });
    } catch (error) {
      if (signal?.aborted) {
        const text = `${name}: stopped; what has come is kept in ${folder}: the same call continues from there`;
        throw new DistilleryError("ABORTED", text, { cause: signal.reason });
      }
      throw error instanceof ServerFailure ? advised(error, files.slice(i), folder) : error;
    }
  }
}

function advised({ code, message, cause }: ServerFailure, files: readonly PublicFile[], folder: string) {
  const names = files.map(({ name }) => name).join(", ");
  const byHand = `put ${names} into ${folder} by hand, or take a mirror (--from, DISTILLERY_MIRROR)`;
  const advice = code === "BAD_DATA" ? "" : `: if it can't be reached, ${byHand}`;
  return new DistilleryError(code, message + advice, { cause });
}

async function unpackAll(
  { files, extras = [], downloads }: DatasetInfo,
  inside: string,
  folder: string,
): Promise<void> {
  const names = files.map(([name]) => name);
  for (const { name } of downloads) {
    const archive = join(folder, name);
    await unpack(archive, inside, [...names, ...extras], folder);
    await rm(archive, { force: true });
  }
}

function mirrorsOf(name: string, { mirrors }: DatasetInfo, { from }: DownloadOptions): readonly string[] {
  const mirror = process.env.DISTILLERY_MIRROR;
  if (from !== undefined) return [expectAddress("from", from)];
  return mirror ? [`${expectAddress("DISTILLERY_MIRROR", mirror)}/${name}`] : mirrors;
}

function expectAddress(argument: string, address: unknown): string {
  const { protocol } = typeof address === "string" && URL.canParse(address) ? new URL(address) : { protocol: "" };
  if (protocol === "http:" || protocol === "https:") return (address as string).replace(/\/+$/, "");
  const shown = typeof address === "string" ? publicAddress(address) : address;
  throw badArgument(argument, "an http or https address", shown);
}

const CHUNK = 2 ** 18;
/** How many bytes an archive of some size may unpack to; CIFAR's, of pixels, to 1.1 times its size. */
const largest = (size: number) => 1e7 + 50 * size;

/**
 * Takes files out of a gzipped tar archive: the regular files of these names in its folder `inside`, and nothing else,
 * whatever else its entries are called. Each is written into `folder` whole or not at all.
 *
 * `BAD_DATA` for an archive that is damaged or lacks one of them.
 */
async function unpack(archive: string, inside: string, names: readonly string[], folder: string): Promise<void> {
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
