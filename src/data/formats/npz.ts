import { badData } from "../../files/index.js";
import { readZip } from "../../files/zip_reader.js";
import { decodeNpy, type NpyArray } from "./npy.js";

/** The names of an archive's arrays, and each of them once it is asked for. */
export interface Npz {
  readonly names: ReadonlySet<string>;
  read(name: string): Promise<NpyArray>;
}

/**
 * Opens a `.npz` archive as `numpy.savez` and `savez_compressed` write it: a zip of `.npy` files. An array is taken out,
 * and its checksum checked, when it is read. `BAD_DATA` with the file's name, and the array's, otherwise.
 */
export async function openNpz(bytes: Uint8Array, file: string): Promise<Npz> {
  const open = (choose: (names: readonly string[]) => readonly string[]) =>
    readZip(bytes, {
      writer: "NumPy",
      refuseCompressed: null,
      fail: (problem, cause) => badData(file, problem, cause),
      choose,
    });
  const names = new Set<string>();
  await open((entries) => {
    for (const entry of entries) if (entry.endsWith(".npy")) names.add(entry.slice(0, -4));
    return [];
  });
  const read = async (name: string) => {
    const entries = await open(() => [`${name}.npy`]);
    return decodeNpy(entries.get(`${name}.npy`) as Uint8Array, `${file}: ${name}`);
  };
  return { names, read };
}
