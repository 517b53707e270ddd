import { freemem } from "node:os";
import { badData } from "../../files/index.js";
import { showBytes } from "../../show.js";
import { decodeNpy, decodeNpyTexts, type NpyArray } from "./npy.js";

/** The arrays of a `.npz` archive by their names. */
interface NpzArchive {
  readonly names: ReadonlySet<string>;
  read(name: string): Promise<NpyArray>;
  /** An array of texts. */
  readTexts(name: string): Promise<string[]>;
}

/**
 * Opens a `.npz` archive as `numpy.savez` and `savez_compressed` write it: a zip of `.npy` files. An array is taken out,
 * and its checksum checked, when it is read. `BAD_DATA` with the file's name, and the array's, otherwise.
 */
export async function openNpz(bytes: Uint8Array, file: string): Promise<NpzArchive> {
  // Loaded late: only archives need the library behind it.
  const { readZip } = await import("../../files/zip_reader.js");
  const open = (choose: (names: readonly string[]) => readonly string[]) =>
    readZip(bytes, {
      writer: "NumPy",
      refuseCompressed: null,
      refuseSize,
      fail: (problem, cause) => badData(file, problem, cause),
      choose,
    });
  const names = new Set<string>();
  await open((entries) => {
    for (const entry of entries) if (entry.endsWith(".npy")) names.add(entry.slice(0, -4));
    return [];
  });
  const decode = async <T>(name: string, decoder: (bytes: Uint8Array, where: string) => T) => {
    const entries = await open(() => [`${name}.npy`]);
    return decoder(entries.get(`${name}.npy`) as Uint8Array, `${file}: ${name}`);
  };
  return { names, read: (name) => decode(name, decodeNpy), readTexts: (name) => decode(name, decodeNpyTexts) };
}

/** The copies of an array that are in memory at once while it becomes samples. */
const COPIES = 3;

/** Refuses an array that does not fit into the memory that is free, before it is inflated. */
function refuseSize(bytes: number): string | null {
  // Node 20.13 and newer know the limit of a container.
  const free = process.availableMemory?.() ?? freemem();
  if (COPIES * bytes <= free) return null;
  const needs = `takes ${showBytes(COPIES * bytes)} to read, and ${showBytes(free)} are free`;
  return `inflates to ${showBytes(bytes)}, which ${needs}: \`unzip\` makes .npy files of it, which stream (--stream) leaves on the disk`;
}
