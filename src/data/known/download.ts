import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { show } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { ioError } from "../../files/index.js";
import { native } from "../../native.js";
import { type FetchOptions, fetchFile } from "./fetch_file.js";
import { cachedAt, type FoundData, lookFor, lookInto, type Place, wholeSet } from "./find_data.js";
import { ServerFailure } from "./http.js";
import type { KnownData, PublicFile } from "./known.js";
import { unpack } from "./unpack.js";

/** The options of {@link downloadData}. */
export interface DownloadOptions {
  /**
   * The http(s) address of a folder with the files, instead of the public home; default: the subfolder of the set's name
   * of `$DISTILLERY_MIRROR`, where that is set.
   */
  from?: string;
  /** Stops; a later call goes on from there. */
  signal?: AbortSignal;
  /** Called whenever more of a file is there. */
  onProgress?: (progress: DownloadProgress) => void;
}

/** How far a download is. */
export interface DownloadProgress {
  /** The name of the file that comes. */
  file: string;
  /** Bytes of it that are there, and its size. */
  received: number;
  bytes: number;
  /** The same of all files that were missing, the present one included. */
  allReceived: number;
  allBytes: number;
}

const LOCK = "download.lock";

/** What {@link downloadData} does, for a set and with a patience of its caller's. */
export async function bring(
  name: string,
  known: KnownData,
  options: DownloadOptions,
  patience: Pick<FetchOptions, "stallMs" | "retryMs">,
): Promise<FoundData> {
  const homes = homesOf(name, known, options);
  const place = await lookFor(name, known);
  const folder = cachedAt(name);
  if (place !== null && (place.folder !== folder || isWhole(place))) return wholeSet(name, known, place);
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw ioError("write", folder, error, "folder");
  });
  const lock = native.lockFile(join(folder, LOCK));
  if (lock === null) {
    throw new DistilleryError("IN_USE", `${folder}: another process downloads it: wait for its end, then try again`);
  }
  try {
    const missing = missingOf(known, await lookInto(folder, known));
    await receive(missing, homes, folder, { ...options, ...patience });
    if (known.unpacked !== undefined && missing.length > 0) await open(known, known.unpacked, folder);
  } finally {
    // On Windows only what is not locked can go; and where another one has it by now it stays.
    lock.release();
    await rm(join(folder, LOCK), { force: true }).catch(() => {});
  }
  return wholeSet(name, known, await lookInto(folder, known));
}

function isWhole({ files }: Place): boolean {
  return files.every((file) => file !== undefined);
}

/** What is to be downloaded for the files that a folder lacks. */
function missingOf({ unpacked, downloads }: KnownData, place: Place): readonly PublicFile[] {
  if (unpacked !== undefined) return isWhole(place) ? [] : downloads;
  return downloads.filter((_, i) => place.files[i] === undefined);
}

async function receive(
  files: readonly PublicFile[],
  homes: readonly string[],
  folder: string,
  { signal, onProgress, ...patience }: DownloadOptions & Pick<FetchOptions, "stallMs" | "retryMs">,
): Promise<void> {
  const sizeOf = (some: readonly PublicFile[]) => some.reduce((sum, { bytes }) => sum + bytes, 0);
  const allBytes = sizeOf(files);
  for (const [i, file] of files.entries()) {
    const { name, bytes } = file;
    const before = sizeOf(files.slice(0, i));
    const onBytes = (received: number) =>
      onProgress?.({ file: name, received, bytes, allReceived: before + received, allBytes });
    const urls = homes.map((home) => `${home}/${name}`);
    try {
      await fetchFile(urls, file, join(folder, name), { ...patience, signal, onBytes });
    } catch (error) {
      if (signal?.aborted) {
        const text = `${name}: stopped; what has come is kept in ${folder}: the same call goes on from there`;
        throw new DistilleryError("ABORTED", text, { cause: signal.reason });
      }
      throw error instanceof ServerFailure ? advised(error, files.slice(i), folder) : error;
    }
  }
}

function advised({ code, message, cause }: ServerFailure, files: readonly PublicFile[], folder: string) {
  const names = files.map(({ name }) => name).join(", ");
  const byHand = `put ${names} into ${folder} by hand, or take a mirror (--from, DISTILLERY_MIRROR)`;
  const advice = code === "BAD_DATA" ? "" : `: where there is no way to it, ${byHand}`;
  return new DistilleryError(code, message + advice, { cause });
}

async function open({ files, extras = [], downloads }: KnownData, inside: string, folder: string): Promise<void> {
  const names = files.map(([name]) => name as string);
  for (const { name } of downloads) {
    const archive = join(folder, name);
    await unpack(archive, inside, [...names, ...extras], folder);
    await rm(archive, { force: true });
  }
}

function homesOf(name: string, { homes }: KnownData, { from }: DownloadOptions): readonly string[] {
  const mirror = process.env.DISTILLERY_MIRROR;
  if (from !== undefined) return [expectAddress("from", from)];
  return mirror ? [`${expectAddress("DISTILLERY_MIRROR", mirror)}/${name}`] : homes;
}

function expectAddress(argument: string, address: unknown): string {
  const { protocol } = typeof address === "string" && URL.canParse(address) ? new URL(address) : { protocol: "" };
  if (protocol === "http:" || protocol === "https:") return (address as string).replace(/\/+$/, "");
  throw new DistilleryError("BAD_ARGUMENT", `${argument}: expected an http or https address, got ${show(address)}`);
}
