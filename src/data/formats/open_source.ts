import { basename, dirname, join, parse, resolve } from "node:path";
import { DistilleryError } from "../../errors.js";
import { kindOf, listFiles, listFolders } from "../../files/index.js";
import { badData } from "../bad_data.js";
import { listed } from "../inputs/cells.js";
import { KNOWN_DATA } from "../known/find_data.js";
import { IDX_FILES } from "../known/known.js";
import { cifarOf, readCifar } from "./cifar.js";
import { imageSets } from "./image_sets.js";
import type { DataSets, LoadDataOptions } from "./load_data.js";
import { loadImages } from "./load_images.js";
import { hasNumpyFamily, readNpyFile, readNpz, readNumpyFolder } from "./numpy.js";
import { findPictures, readPictureFolder } from "./picture_folder.js";
import type { ReadSets } from "./read_sets.js";
import { readTable } from "./table.js";

const FORMATS = "a .csv, .tsv, .npz or .npy file";
const LOOKED_FOR = [
  `four IDX files (${IDX_FILES[0]?.[0]}, ...)`,
  "CIFAR's binary version (data_batch_1.bin, ... or train.bin)",
  "x_train.npy and y_train.npy",
  "train.csv",
  "folders of PNG or JPEG images, one a class, or train/ and test/ with these",
];

/**
 * Recognises what a path holds, and reads it: a file by its extension, a folder by its files in the order of
 * {@link loadData}'s table. `NOT_FOUND` lists what was looked for.
 */
export async function openSource(source: string, options: LoadDataOptions): Promise<ReadSets | DataSets> {
  const kind = await kindOf(source);
  if (kind === "folder") return readFolder(source, basename(resolve(source)), options);
  if (kind === null) {
    const text = `expected ${KNOWN_DATA.join(", ")}, a folder, or ${FORMATS}`;
    throw new DistilleryError("NOT_FOUND", `${source}: no such file or folder: ${text}`);
  }
  const { name, ext } = parse(source);
  const extension = ext.toLowerCase();
  if (extension === ".csv" || extension === ".tsv") return readTable(source, await testTable(source), name, options);
  if (extension === ".npz") return readNpz(source, name);
  if (extension === ".npy") return readNpyFile(source, name);
  throw badData(source, `expected ${FORMATS}, or a folder`);
}

/** The file beside a table that is its test part: `test.csv` of `train.csv`, otherwise `NAME_test.csv`. */
async function testTable(file: string): Promise<string | null> {
  const { name, ext } = parse(file);
  const candidates = /(^|[_-])train$/.test(name) ? [name.replace(/train$/, "test")] : [`${name}_test`];
  const files = await listFiles(dirname(file));
  const found = candidates.map((candidate) => `${candidate}${ext}`).find((candidate) => files.has(candidate));
  return found === undefined ? null : join(dirname(file), found);
}

async function readFolder(folder: string, name: string, options: LoadDataOptions): Promise<ReadSets | DataSets> {
  const files = await listFiles(folder);
  if (IDX_FILES.flat().some((file) => files.has(file))) return loadImages(folder);
  const cifar = cifarOf(files);
  if (cifar !== null) return imageSets(await readCifar(folder, files, cifar), name);
  if (hasNumpyFamily(files)) return readNumpyFolder(folder, files, name);
  const table = join(folder, "train.csv");
  if (files.has("train.csv")) return readTable(table, await testTable(table), name, options);
  const pictures = await findPictures(folder);
  if (pictures !== null) return imageSets(await readPictureFolder(folder, pictures, options), name);
  const has = [...(await listFolders(folder)).map((inner) => `${inner}/`), ...[...files].sort()];
  const text = `no data set found. Looked for ${LOOKED_FOR.join("; ")}. It has ${listed(has) || "nothing"}`;
  throw new DistilleryError("NOT_FOUND", `${folder}: ${text}`);
}
