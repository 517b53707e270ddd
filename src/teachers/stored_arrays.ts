import { extname } from "node:path";
import { openSafetensors } from "../checkpoint/index.js";
import { expectPath, show } from "../checks.js";
import { openNpyFile, openNpz } from "../data/formats/npy.js";
import { badData, readWhole } from "../files/index.js";
import type { Precision } from "../tensor/precision.js";

/** An array in a file, whose rows are read in parts. */
export interface StoredArray {
  /** The file, and the array's name in it. */
  readonly where: string;
  readonly shape: readonly number[];
  /** The elements of the rows `start` to `end` (not included). */
  read(start: number, end: number): ArrayLike<number | bigint>;
}

/** The arrays of a file by name, and its metadata. */
interface StoredArrays {
  readonly arrays: ReadonlyMap<string, StoredArray>;
  readonly classNames?: readonly string[];
  /** The fingerprint of the data that they were computed from. */
  readonly dataHash?: string;
  /** Whether values of a regression are standardised as its targets are, not in the unit of their columns. */
  readonly isStandardized?: boolean;
  /** The precision of the network that gave them, if the file says it. */
  readonly precision?: Precision;
}

/** The `unit` in the metadata of a `.safetensors` whose values are standardised. */
export const STANDARDIZED = "standardized";

/** The extensions of files that hold arrays. */
export const ARRAY_FILES = [".npy", ".npz", ".safetensors"] as const;

/** Whether arrays with these names are the logits of samples, and not the weights of a network. */
export function isLogits(names: { has(name: string): boolean; readonly size: number }): boolean {
  return (names.has("logits") && names.size === 1) || (names.has("ids") && names.has("logprobs"));
}

/** The array in an archive that names the classes. */
const CLASSES = "classes";

/**
 * Opens the arrays of a `.npy`, `.npz` or `.safetensors` file. The class names are the texts `classes` of a `.npz`, and
 * the JSON list `classNames` in the metadata of a `.safetensors`; the data's hash is `dataHash` there, `unit` is
 * "standardized" if values of a regression are, and `precision` is "bfloat16" if the network ran in it.
 */
export async function openStoredArrays(file: string): Promise<StoredArrays> {
  const extension = extname(expectPath("file", file)).toLowerCase();
  if (extension === ".npy") {
    const { shape, read } = await openNpyFile(file, true);
    return { arrays: new Map([["logits", { where: file, shape, read }]]) };
  }
  return extension === ".npz" ? openArchive(file) : openTensors(file);
}

async function openArchive(file: string): Promise<StoredArrays> {
  const bytes = await readWhole(file, "`unzip` makes .npy files of it, which stay on the disk");
  const { names, read, readTexts } = await openNpz(bytes, file);
  const arrays = new Map<string, StoredArray>();
  for (const name of names) {
    if (name === CLASSES) continue;
    const { shape, data } = await read(name);
    const width = data.length / shape[0];
    arrays.set(name, {
      where: `${file}: ${name}`,
      shape,
      read: (start, end) => data.subarray(start * width, end * width),
    });
  }
  return { arrays, ...(names.has(CLASSES) && { classNames: await readTexts(CLASSES) }) };
}

async function openTensors(file: string): Promise<StoredArrays> {
  const { tensors, metadata } = await openSafetensors(file);
  const arrays = [...tensors].map(([name, array]): [string, StoredArray] => [
    name,
    { where: `${file}: ${name}`, ...array },
  ]);
  const { classNames, dataHash, unit, precision } = metadata;
  if (unit !== undefined && unit !== STANDARDIZED) {
    throw badData(file, `its metadata: unit: expected ${STANDARDIZED} or none, got ${show(unit)}`);
  }
  return {
    arrays: new Map(arrays),
    ...(classNames !== undefined && { classNames: parseNames(classNames, file) }),
    dataHash,
    isStandardized: unit !== undefined,
    ...(precision === "bfloat16" && { precision }),
  };
}

function parseNames(text: string, file: string): string[] {
  try {
    const names: unknown = JSON.parse(text);
    if (Array.isArray(names) && names.every((name) => typeof name === "string")) return names;
  } catch {
    // As for JSON of another kind.
  }
  throw badData(file, "its metadata: classNames: expected a list of texts in JSON");
}
