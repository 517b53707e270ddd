import { join } from "node:path";
import { showList } from "../../checks.js";
import { badData, listFiles, listFolders } from "../../files/index.js";
import type { FoundImages, ImagePart } from "./image_sets.js";
import { commonSize, isPicture, type PictureOptions, readPictures } from "./pictures.js";

/** The pictures of a folder, by the names of its classes, in the order of `torchvision.datasets.ImageFolder`. */
type Classes = ReadonlyMap<string, readonly string[]>;

/** Folders of pictures: one for training and, where it is there, one for testing. */
export interface PictureFolders {
  readonly trainFolder: string;
  readonly train: Classes;
  readonly testFolder: string;
  readonly test: Classes | null;
}

/** Looks for pictures by class: `CLASS/*.png` or .jpg, or `train/CLASS/...` and `test/CLASS/...`; null where none is. */
export async function findPictures(folder: string): Promise<PictureFolders | null> {
  const folders = await listFolders(folder);
  const isSplit = folders.includes("train");
  const [trainFolder, testFolder] = isSplit ? [join(folder, "train"), join(folder, "test")] : [folder, folder];
  const train = await classesOf(trainFolder);
  if ([...train.values()].every((files) => files.length === 0)) return null;
  const others = folders.filter((name) => name !== "train" && name !== "test");
  if (isSplit && others.length > 0) {
    throw badData(folder, `expected train and test alone, has ${showList(others)} too: move or rename it`);
  }
  return {
    trainFolder,
    train,
    testFolder,
    test: folders.includes("test") && isSplit ? await classesOf(testFolder) : null,
  };
}

/**
 * Pictures by class, the classes sorted by name as `torchvision.datasets.ImageFolder` numbers them. `BAD_DATA` for a
 * class without pictures, one that only the test part has, and with its file for a picture that can't be taken.
 */
export async function readPictureFolder(
  folder: string,
  { trainFolder, train, testFolder, test }: PictureFolders,
  options: PictureOptions,
): Promise<FoundImages> {
  const classNames = [...train.keys()];
  expectFull(trainFolder, train);
  if (classNames.length < 2)
    throw badData(trainFolder, `expected two classes at least, got ${showList(classNames)} alone`);
  if (test !== null) expectFull(testFolder, test);
  const unseen = [...(test?.keys() ?? [])].find((name) => !train.has(name));
  if (unseen !== undefined) throw badData(join(testFolder, unseen), `a class that is not in ${trainFolder}`);
  const size = await commonSize([...train.values()][0]?.[0] as string, options);
  const read = async (classes: Classes): Promise<ImagePart> => {
    const files = [...classes.values()].flat();
    const labels = [...classes].flatMap(([name, { length }]) =>
      new Array<number>(length).fill(classNames.indexOf(name)),
    );
    return { pixels: await readPictures(files, size, options), labels: Int32Array.from(labels) };
  };
  return {
    source: folder,
    size,
    classes: classNames.length,
    classNames,
    train: await read(train),
    test: test && (await read(test)),
  };
}

async function classesOf(folder: string): Promise<Classes> {
  const names = await listFolders(folder);
  const picturesIn = async (name: string) => {
    const files = [...(await listFiles(join(folder, name)))].filter(isPicture).sort();
    return [name, files.map((file) => join(folder, name, file))] as const;
  };
  return new Map(await Promise.all(names.map(picturesIn)));
}

function expectFull(folder: string, classes: Classes): void {
  for (const [name, files] of classes) {
    if (files.length === 0) throw badData(join(folder, name), "an empty class: it has no .png, .jpg or .jpeg file");
  }
}
