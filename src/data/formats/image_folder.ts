import { join } from "node:path";
import { showList } from "../../checks.js";
import { badData, listFiles, listFolders } from "../../files/index.js";
import type { ImageSize } from "../image_dataset.js";
import type { ImageOptions } from "../load_options.js";
import { encodeSamples } from "../preprocessing/encode.js";
import type { ImagePreprocessing } from "../preprocessing/spec.js";
import type { RawData, RawPart } from "../raw_data.js";
import { newRows, type RowData, type RowSource } from "../row_source.js";
import { commonSize, decodeImages, isImage } from "./decode_images.js";
import type { Format, OpenOptions } from "./format.js";

/** The images of a folder, by the names of its classes, in the order of `torchvision.datasets.ImageFolder`. */
type Classes = ReadonlyMap<string, readonly string[]>;

/** The names of the folder of the validation part. */
const VALIDATION = ["val", "valid", "validation"];

/**
 * Images by class: `CLASS/*.png` or .jpg, or `train/CLASS/...`, `val/CLASS/...`
 * and `test/CLASS/...`. The classes are sorted by name, as
 * `torchvision.datasets.ImageFolder` numbers them.
 */
export const imageFolder: Format = {
  name: "images",
  help: "a folder of PNG or JPEG images by class",
  extensions: [],
  folder: "folders of PNG or JPEG images, one a class, or train/, val/ and test/ with these",

  async detect({ path, folders }) {
    const isSplit = folders.includes("train");
    const inner = isSplit ? (await listFolders(join(path, "train"))).map((name) => join("train", name)) : folders;
    for (const folder of inner) if ([...(await listFiles(join(path, folder)))].some(isImage)) return true;
    return false;
  },

  async open(path, options): Promise<RawData> {
    const folders = await listFolders(path);
    if (!folders.includes("train")) return openFolders(path, [null, null], options);
    const validation = VALIDATION.filter((name) => folders.includes(name));
    const others = folders.filter((name) => name !== "train" && name !== "test" && name !== validation[0]);
    if (others.length > 0) {
      throw badData(path, `expected train, val and test alone, has ${showList(others)} too: move or rename it`);
    }
    const inner = (name = "") => (folders.includes(name) ? join(path, name) : null);
    return openFolders(join(path, "train"), [inner("test"), inner(validation[0])], options);
  },

  samples: {
    help: "a PNG or JPEG image",
    extensions: [".png", ".jpg", ".jpeg"],
    accepts: (spec) => spec.kind === "image",
    async read(file, spec) {
      const { channels, height, width } = spec as ImagePreprocessing;
      const rows = new ImageRows([file], spec as ImagePreprocessing, {
        imageSize: [height, width],
        grey: channels === 1,
      });
      const inputs = encodeSamples(spec as ImagePreprocessing, rows.read(0, 1) as Uint8Array);
      return { inputs, locations: [file], labels: null };
    },
  },
};

async function openFolders(
  trainFolder: string,
  otherFolders: readonly (string | null)[],
  options: ImageOptions & Pick<OpenOptions, "preprocessing">,
): Promise<RawData> {
  const train = await classesOf(trainFolder);
  const classNames = [...train.keys()];
  expectFull(trainFolder, train);
  if (classNames.length < 2 && options.preprocessing === undefined) {
    throw badData(trainFolder, `expected at least two classes, got ${showList(classNames)} alone`);
  }
  const others = otherFolders.map(async (folder) => {
    if (folder === null) return null;
    const classes = await classesOf(folder);
    expectFull(folder, classes);
    const unseen = [...classes.keys()].find((name) => !train.has(name));
    if (unseen !== undefined) throw badData(join(folder, unseen), `a class that is not in ${trainFolder}`);
    return classes;
  });
  const [test, validation] = await Promise.all(others);
  const size = await commonSize([...train.values()][0][0], options);
  const part = (classes: Classes): RawPart => {
    const labels = [...classes].flatMap(([name, { length }]) =>
      new Array<number>(length).fill(classNames.indexOf(name)),
    );
    return { rows: new ImageRows([...classes.values()].flat(), size, options), labels: Int32Array.from(labels) };
  };
  return {
    ...{ train: part(train), test: test && part(test), validation: validation && part(validation) },
    ...{ classes: classNames.length, classNames },
  };
}

/** Images in files of their own, decoded when they are read. */
class ImageRows implements RowSource {
  readonly dtype = "uint8";
  readonly length: number;
  readonly shape: readonly number[];

  constructor(
    private readonly files: readonly string[],
    private readonly size: ImageSize,
    private readonly options: ImageOptions,
  ) {
    this.length = files.length;
    this.shape = [size.channels, size.height, size.width];
  }

  read(start: number, end: number, into: RowData = newRows(this, end - start)): RowData {
    decodeImages(this.files.slice(start, end), this.size, this.options, into as Uint8Array);
    return into;
  }
}

async function classesOf(folder: string): Promise<Classes> {
  const names = await listFolders(folder);
  const imagesIn = async (name: string) => {
    const files = [...(await listFiles(join(folder, name)))].filter(isImage).sort();
    return [name, files.map((file) => join(folder, name, file))] as const;
  };
  return new Map(await Promise.all(names.map(imagesIn)));
}

function expectFull(folder: string, classes: Classes): void {
  for (const [name, files] of classes) {
    if (files.length === 0) throw badData(join(folder, name), "an empty class: it has no .png, .jpg or .jpeg file");
  }
}
