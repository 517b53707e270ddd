import { dirname, join, parse } from "node:path";
import { listFiles } from "../../files/index.js";
import { readCifar } from "./cifar.js";
import { imageSets } from "./image_sets.js";
import type { DataSets, LoadDataOptions } from "./load_data.js";
import { loadImages } from "./load_images.js";
import { readNpyFile, readNpz, readNumpyFolder } from "./numpy.js";
import { readPictureFolder } from "./picture_folder.js";
import type { ReadSets } from "./read_sets.js";
import { recognise } from "./recognise.js";
import { readTable } from "./table.js";

/** Recognises what a path holds, and reads it into memory. */
export async function openSource(source: string, options: LoadDataOptions): Promise<ReadSets | DataSets> {
  const found = await recognise(source);
  const { name } = found;
  switch (found.kind) {
    case "table":
      return readTable(found.file, await testTable(found.file), name, options);
    case "npz":
      return readNpz(source, name);
    case "npy":
      return readNpyFile(source, name);
    case "idx":
      return loadImages(source);
    case "cifar":
      return imageSets(await readCifar(source, found.files, found.version), name);
    case "arrays":
      return readNumpyFolder(source, found.files, name);
    case "pictures":
      return imageSets(await readPictureFolder(source, found.folders, options), name);
  }
}

/** The file beside a table that is its test part: `test.csv` of `train.csv`, otherwise `NAME_test.csv`. */
async function testTable(file: string): Promise<string | null> {
  const { name, ext } = parse(file);
  const candidates = /(^|[_-])train$/.test(name) ? [name.replace(/train$/, "test")] : [`${name}_test`];
  const files = await listFiles(dirname(file));
  const found = candidates.map((candidate) => `${candidate}${ext}`).find((candidate) => files.has(candidate));
  return found === undefined ? null : join(dirname(file), found);
}
