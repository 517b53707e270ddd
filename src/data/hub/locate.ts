import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join, posix, win32 } from "node:path";
import { argumentError, show, suggestion } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { ioError, listFiles } from "../../files/index.js";
import { CATALOG, type DatasetInfo } from "./catalog.js";

/**
 * The names of the data sets that are loaded by name: `fashion-mnist`, `mnist`, `kmnist`, `cifar-10`, `cifar-100`.
 *
 * @example
 * ```ts
 * for (const name of DATASET_NAMES) console.log(name, (await findData(name)) === null ? "not here" : "here");
 * ```
 */
export const DATASET_NAMES: readonly string[] = Object.keys(CATALOG);

/** A data set of the catalog on this machine. */
export interface FoundData {
  readonly name: string;
  readonly folder: string;
  /** The names of its files there: images and labels for training, then for testing. */
  readonly files: readonly string[];
  /** The size of these files together. */
  readonly bytes: number;
}

/**
 * Looks for a data set of the catalog: in `$DISTILLERY_DATA`, its subfolder with the set's name first, then in the
 * cache folder of {@link downloadData}, then in the folder of a system package. Null if none of its files is found.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a name that is not known, `NOT_FOUND` that names the missing files if a
 * location has only some of them, `IO_ERROR`.
 * @example
 * ```ts
 * const found = (await findData("kmnist")) ?? (await downloadData("kmnist"));
 * ```
 */
export async function findData(name: string): Promise<FoundData | null> {
  const info = datasetInfo(name);
  const location = await locate(name, info);
  return location && wholeSet(name, info, location);
}

/** The catalog's entry of a name. */
export function datasetInfo(name: string): DatasetInfo {
  const info = Object.hasOwn(CATALOG, name) ? CATALOG[name] : undefined;
  if (info !== undefined) return info;
  throw argumentError(
    "name",
    `expected one of ${DATASET_NAMES.join(", ")}, got ${show(name)}${suggestion(String(name), DATASET_NAMES)}`,
  );
}

/** A folder with files of a data set: the name of each, undefined if it is missing. */
export interface Location {
  readonly folder: string;
  readonly files: readonly (string | undefined)[];
}

/** The first folder that has any file of a data set. */
export async function locate(name: string, info: DatasetInfo): Promise<Location | null> {
  for (const folder of locationsOf(name, info)) {
    const location = await lookInto(folder, info);
    // A folder with some of them is an error, not a reason to take other data.
    if (location.files.some((file) => file !== undefined)) return location;
  }
  return null;
}

/** The files of a data set in a folder; none if there is no such folder. */
export async function lookInto(folder: string, info: DatasetInfo): Promise<Location> {
  const there = await listFiles(folder).catch((error: DistilleryError) => {
    if (error.code !== "NOT_FOUND") throw error;
    return new Set<string>();
  });
  return { folder, files: info.files.map((names) => names.find((name) => there.has(name))) };
}

/** The data set in a folder; `NOT_FOUND` with the files that are missing. */
export async function wholeSet(name: string, info: DatasetInfo, { folder, files }: Location): Promise<FoundData> {
  const missing = info.files.flatMap(([first], i) => (files[i] === undefined ? [first] : []));
  if (missing.length > 0) {
    // In the cache folder a download fetches what is missing.
    const advice = folder === cachedAt(name) ? `; \`distillery data ${name}\` brings the rest` : "";
    const text = `${folder}: expected ${info.parts}; missing: ${missing.join(", ")}${advice}`;
    throw new DistilleryError("NOT_FOUND", text);
  }
  const names = files as readonly string[];
  const sizes = await Promise.all(names.map((file) => sizeOf(join(folder, file))));
  return { name, folder, files: names, bytes: sizes.reduce((a, b) => a + b) };
}

/** The folder of a data set after its download. */
export function cachedAt(name: string): string {
  return join(cacheFolder(), name);
}

/** The error of a data set that is nowhere, with what to do. */
export function notFound(name: string, info: DatasetInfo): DistilleryError {
  const bring = [`distillery data ${name}`, ...(info.packaged ? [info.packaged.advice] : [])];
  const advice = `${bring.map((command) => `\`${command}\``).join(" or ")} brings it`;
  const text = `${name}: not found in ${locationsOf(name, info).join(", ")}: ${advice}`;
  return new DistilleryError("NOT_FOUND", `${text}; or set DISTILLERY_DATA to a folder with ${info.parts}`);
}

function locationsOf(name: string, { unpacked, packaged }: DatasetInfo): string[] {
  const own = process.env.DISTILLERY_DATA;
  // The subfolder first: the files of several of these sets have the same names.
  const subfolders = own ? [name, ...(unpacked ? [unpacked] : [])].map((folder) => join(own, folder)) : [];
  return [...subfolders, ...(own ? [own] : []), cachedAt(name), ...(packaged ? [packaged.folder] : [])];
}

async function sizeOf(file: string): Promise<number> {
  const { size } = await stat(file).catch((error: unknown) => {
    throw ioError("read", file, error);
  });
  return size;
}

/**
 * The folder of downloaded data sets: `$DISTILLERY_CACHE`, else the system's folder for what can be fetched again
 * (`$XDG_CACHE_HOME/distillery` or `~/.cache/distillery`, `~/Library/Caches/distillery` on macOS,
 * `%LOCALAPPDATA%\distillery\Cache` on Windows).
 */
export function cacheFolder(
  env: Readonly<Record<string, string | undefined>> = process.env,
  platform: string = process.platform,
  home = homedir(),
): string {
  if (env.DISTILLERY_CACHE) return env.DISTILLERY_CACHE;
  if (platform === "win32") {
    return win32.join(env.LOCALAPPDATA || win32.join(home, "AppData", "Local"), "distillery", "Cache");
  }
  if (platform === "darwin") return posix.join(home, "Library", "Caches", "distillery");
  // Its specification says that a relative path is to be ignored.
  const { XDG_CACHE_HOME: own = "" } = env;
  return posix.join(posix.isAbsolute(own) ? own : posix.join(home, ".cache"), "distillery");
}

/** A data set of the catalog, and where it is on this machine. */
export interface ListedData {
  readonly name: string;
  readonly title: string;
  /** The size of its download. */
  readonly downloadBytes: number;
  /** Null if it is not on this machine, or not whole. */
  readonly found: FoundData | null;
  /** What is wrong with the files that were found; null otherwise. */
  readonly problem: string | null;
}

/**
 * All data sets of the catalog, and where each of them is.
 *
 * @throws DistilleryError as {@link findData}.
 * @example
 * ```ts
 * for (const { name, found } of await listData()) console.log(name, found?.folder ?? "not here");
 * ```
 */
export async function listData(): Promise<ListedData[]> {
  return Promise.all(
    Object.entries(CATALOG).map(async ([name, { title, downloads }]) => {
      const downloadBytes = downloads.reduce((sum, { bytes }) => sum + bytes, 0);
      return { name, title, downloadBytes, ...(await search(name)) };
    }),
  );
}

async function search(name: string): Promise<Pick<ListedData, "found" | "problem">> {
  try {
    return { found: await findData(name), problem: null };
  } catch (error) {
    if (error instanceof DistilleryError) return { found: null, problem: error.message };
    throw error;
  }
}
