import { basename, join, parse, resolve } from "node:path";
import { showList } from "../../checks.js";
import { DistilleryError } from "../../errors.js";
import { badData, kindOf, listFiles, listFolders } from "../../files/index.js";
import { IDX_FILES } from "../hub/catalog.js";
import { DATASET_NAMES } from "../hub/locate.js";
import { type Cifar, cifarOf } from "./cifar.js";
import { hasNumpyFamily } from "./numpy_family.js";
import { findPictures, type PictureFolders } from "./picture_folder.js";

/** What a path holds, with what was seen of it on the way. */
export type Recognised = { readonly name: string } & (
  | { readonly kind: "table"; readonly file: string }
  | { readonly kind: "npz" | "npy" | "idx" }
  | { readonly kind: "cifar"; readonly files: ReadonlySet<string>; readonly version: Cifar }
  | { readonly kind: "arrays"; readonly files: ReadonlySet<string> }
  | { readonly kind: "pictures"; readonly folders: PictureFolders }
);

const FORMATS = "a .csv, .tsv, .npz or .npy file";
const LOOKED_FOR = [
  `four IDX files (${IDX_FILES[0]?.[0]}, ...)`,
  "CIFAR's binary version (data_batch_1.bin, ... or train.bin)",
  "x_train.npy and y_train.npy",
  "train.csv",
  "folders of PNG or JPEG images, one a class, or train/ and test/ with these",
];

/**
 * Recognises what a path holds: a file by its extension, a folder by its files in the order of {@link loadData}'s table.
 * `NOT_FOUND` lists what was looked for.
 */
export async function recognise(source: string): Promise<Recognised> {
  const kind = await kindOf(source);
  if (kind === "folder") return recogniseFolder(source, basename(resolve(source)));
  if (kind === null) {
    const text = `expected ${DATASET_NAMES.join(", ")}, a folder, or ${FORMATS}`;
    throw new DistilleryError("NOT_FOUND", `${source}: no such file or folder: ${text}`);
  }
  const { name, ext } = parse(source);
  const extension = ext.toLowerCase();
  if (extension === ".csv" || extension === ".tsv") return { kind: "table", name, file: source };
  if (extension === ".npz") return { kind: "npz", name };
  if (extension === ".npy") return { kind: "npy", name };
  throw badData(source, `expected ${FORMATS}, or a folder`);
}

async function recogniseFolder(folder: string, name: string): Promise<Recognised> {
  const files = await listFiles(folder);
  if (IDX_FILES.flat().some((file) => files.has(file))) return { kind: "idx", name };
  const version = cifarOf(files);
  if (version !== null) return { kind: "cifar", name, files, version };
  if (hasNumpyFamily(files)) return { kind: "arrays", name, files };
  if (files.has("train.csv")) return { kind: "table", name, file: join(folder, "train.csv") };
  const folders = await findPictures(folder);
  if (folders !== null) return { kind: "pictures", name, folders };
  const has = [...(await listFolders(folder)).map((inner) => `${inner}/`), ...[...files].sort()];
  const text = `no data set found. Looked for ${LOOKED_FOR.join("; ")}. It has ${showList(has) || "nothing"}`;
  throw new DistilleryError("NOT_FOUND", `${folder}: ${text}`);
}
