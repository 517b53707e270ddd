import { stat } from "node:fs/promises";
import { join } from "node:path";
import { show } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { ioError, listFiles } from "../../files/index.js";
import { cacheFolder } from "./cache_folder.js";
import { KNOWN, type KnownData } from "./known.js";

/** The names of the data sets that are known: `fashion-mnist`, `mnist`, `kmnist`, `cifar-10`, `cifar-100`. */
export const KNOWN_DATA: readonly string[] = Object.keys(KNOWN);

/** Where a known data set lies. */
export interface FoundData {
  readonly name: string;
  readonly folder: string;
  /** The names of its files there: pictures and labels for training, then for testing. */
  readonly files: readonly string[];
  /** Their size. */
  readonly bytes: number;
}

/**
 * Looks for a known data set: in `$DISTILLERY_DATA`, its subfolder of the set's name first, then among what
 * {@link downloadData} brought, then where packages of the system put it. Null where none of its files is anywhere.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for a name that is not known, `NOT_FOUND` that names the missing files where a
 * place has some of them, `IO_ERROR`.
 * @example
 * ```ts
 * const found = (await findData("kmnist")) ?? (await downloadData("kmnist"));
 * ```
 */
export async function findData(name: string): Promise<FoundData | null> {
  const known = expectKnown(name);
  const place = await lookFor(name, known);
  return place && wholeSet(name, known, place);
}

/** A known data set by its name. */
export function expectKnown(name: string): KnownData {
  const known = Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined;
  if (known !== undefined) return known;
  throw new DistilleryError("BAD_ARGUMENT", `name: expected one of ${KNOWN_DATA.join(", ")}, got ${show(name)}`);
}

/** A folder that has some of a set's files: the name of each, undefined where it is missing. */
export interface Place {
  readonly folder: string;
  readonly files: readonly (string | undefined)[];
}

/** The first folder that has any of a set's files. */
export async function lookFor(name: string, known: KnownData): Promise<Place | null> {
  for (const folder of placesOf(name, known)) {
    const place = await lookInto(folder, known);
    // A folder with some of them is an error, not a reason to take other data.
    if (place.files.some((file) => file !== undefined)) return place;
  }
  return null;
}

/** What a folder has of a set; nothing where there is no such folder. */
export async function lookInto(folder: string, known: KnownData): Promise<Place> {
  const there = await listFiles(folder).catch((error: DistilleryError) => {
    if (error.code !== "NOT_FOUND") throw error;
    return new Set<string>();
  });
  return { folder, files: known.files.map((names) => names.find((name) => there.has(name))) };
}

/** The set that a folder has; `NOT_FOUND` with what is missing. */
export async function wholeSet(name: string, known: KnownData, { folder, files }: Place): Promise<FoundData> {
  const missing = known.files.flatMap(([first], i) => (files[i] === undefined ? [first] : []));
  if (missing.length > 0) {
    // There, a download goes on with what is missing.
    const advice = folder === cachedAt(name) ? `; \`distillery data ${name}\` brings the rest` : "";
    const text = `${folder}: expected ${known.parts}; missing: ${missing.join(", ")}${advice}`;
    throw new DistilleryError("NOT_FOUND", text);
  }
  const names = files as readonly string[];
  const sizes = await Promise.all(names.map((file) => sizeOf(join(folder, file))));
  return { name, folder, files: names, bytes: sizes.reduce((a, b) => a + b) };
}

/** Where a set lies after its download. */
export function cachedAt(name: string): string {
  return join(cacheFolder(), name);
}

/** The error of a set that is nowhere, with what to do. */
export function nowhere(name: string, known: KnownData): DistilleryError {
  const bring = [`distillery data ${name}`, ...(known.packaged ? [known.packaged.advice] : [])];
  const advice = `${bring.map((command) => `\`${command}\``).join(" or ")} brings it`;
  const text = `${name}: not found in ${placesOf(name, known).join(", ")}: ${advice}`;
  return new DistilleryError("NOT_FOUND", `${text}; or set DISTILLERY_DATA to a folder with ${known.parts}`);
}

function placesOf(name: string, { unpacked, packaged }: KnownData): string[] {
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
