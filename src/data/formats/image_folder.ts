import { join, relative } from "node:path";
import { argumentError, showList } from "../../checks.js";
import { badData, listFiles, listFolders, readWhole, readWholeSync } from "../../files/index.js";
import { native } from "../../native.js";
import { showCount } from "../../show.js";
import { slices } from "../../slices.js";
import type { ImageSize } from "../image_dataset.js";
import type { ImageOptions, LoadDataOptions } from "../load_options.js";
import { encodeSamples } from "../preprocessing/encode.js";
import type { ImagePreprocessing } from "../preprocessing/spec.js";
import type { RawData, RawPart } from "../raw_data.js";
import { newRows, type RowData, type RowSource } from "../row_source.js";
import type { Format, OpenOptions, SampleReader } from "./format.js";
import { partOf } from "./part_names.js";

/** Files that are read and decoded at once. */
const BATCH = 32;

/** The extensions of images that are read. */
const IMAGE_EXTENSIONS = [".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"] as const;
const IMAGE = new RegExp(`(?:${IMAGE_EXTENSIONS.map((extension) => `\\${extension}`).join("|")})$`, "i");

/** The images of a folder, by the names of its classes, in the order of `torchvision.datasets.ImageFolder`. */
type Classes = ReadonlyMap<string, readonly string[]>;

/**
 * Images by class: `CLASS/*.png`, .jpg, .webp, .bmp or .gif, also in folders inside, or `train/CLASS/...`,
 * `val/CLASS/...` and `test/CLASS/...`. The classes are sorted by name, as
 * `torchvision.datasets.ImageFolder` numbers them.
 */
export const imageFolder: Format = {
  name: "images",
  help: "a folder of PNG, JPEG, WebP, BMP or GIF images by class",
  extensions: [],
  takes: ["imageSize", "grey", "exifOrientation", "mean", "std"],
  folder: "folders of images, one a class, or train/, val/ and test/ with these",

  async detect({ path, folders }) {
    const train = folders.find((name) => partOf(name) === "train");
    const inner =
      train === undefined ? folders : (await listFolders(join(path, train))).map((name) => join(train, name));
    for (const folder of inner) if (await hasImage(join(path, folder))) return true;
    return false;
  },

  async open(path, options): Promise<RawData> {
    const folders = await listFolders(path);
    const named = (part: string) => folders.find((name) => partOf(name) === part);
    const [train, test, validation] = ["train", "test", "validation"].map(named);
    if (train === undefined && folders.every((name) => partOf(name) !== null)) {
      throw badData(path, `expected a folder train beside ${showList(folders)}: if these are classes, rename them`);
    }
    if (train === undefined) return openFolders(path, [null, null], options);
    const others = folders.filter((name) => name !== train && name !== test && name !== validation);
    if (others.length > 0) {
      throw badData(path, `expected only train, val and test, found ${showList(others)} too: move or rename it`);
    }
    const inner = (name?: string) => (name === undefined ? null : join(path, name));
    return openFolders(join(path, train), [inner(test), inner(validation)], options);
  },

  samples: {
    help: "a PNG, JPEG, WebP, BMP or GIF image",
    extensions: IMAGE_EXTENSIONS,
    accepts: (spec) => spec.kind === "image",
    async read(file, spec, { exifOrientation }) {
      const { channels, height, width, upright } = spec;
      const rows = new ImageRows([file], spec, {
        imageSize: [height, width],
        grey: channels === 1,
        exifOrientation: exifOrientation === true || upright === true,
      });
      const inputs = encodeSamples(spec, rows.read(0, 1) as Uint8Array);
      return { inputs, locations: [file], labels: null };
    },
  } satisfies SampleReader<ImagePreprocessing>,
};

async function openFolders(
  trainFolder: string,
  otherFolders: readonly (string | null)[],
  options: ImageOptions & Pick<OpenOptions, "preprocessing" | "onNote">,
): Promise<RawData> {
  const train = await classesOf(trainFolder, options.onNote);
  const isKnown = options.preprocessing !== undefined;
  if (train.size < 2 && !isKnown) {
    throw badData(trainFolder, `expected at least two classes, got only ${showList([...train.keys()])}`);
  }
  const others = otherFolders.map(async (folder) => {
    if (folder === null) return null;
    const classes = await classesOf(folder, options.onNote);
    const unseen = [...classes.keys()].find((name) => !train.has(name));
    if (unseen !== undefined && !isKnown) throw badData(join(folder, unseen), `a class that is not in ${trainFolder}`);
    return classes;
  });
  const [test, validation] = await Promise.all(others);
  const classNames = [...new Set([train, test, validation].flatMap((part) => [...(part?.keys() ?? [])]))].sort();
  const size = await commonSize([...train.values()][0][0], options);
  const part = (classes: Classes): RawPart => {
    const labels = [...classes].flatMap(([name, { length }]) =>
      new Array<number>(length).fill(classNames.indexOf(name)),
    );
    const rows = new ImageRows([...classes.values()].flat(), size, options);
    return { rows, labels: Int32Array.from(labels), upright: options.exifOrientation === true };
  };
  return {
    train: part(train),
    test: test && part(test),
    validation: validation && part(validation),
    classes: classNames.length,
    classNames,
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

/**
 * The classes of a folder: its folders, with the images in them and in the folders inside, as torchvision walks them.
 */
async function classesOf(folder: string, onNote: Notes): Promise<Classes> {
  const others: string[] = [];
  const note = (files: readonly string[], one: string, several: string, why: string) => {
    if (files.length === 0) return;
    const shown = files.map((file) => relative(folder, file)).sort();
    const [subject, verb] = files.length === 1 ? ["file is", one] : ["files are", several];
    onNote?.(`${folder}: ${showCount(files.length)} ${subject} not read, which ${verb} ${why}: ${showList(shown, 4)}`);
  };
  const imagesIn = async (name: string) => [name, await imagesBelow(join(folder, name), others)] as const;
  const classes = new Map(await Promise.all((await listFolders(folder)).map(imagesIn)));
  const beside = await otherFiles(folder);
  others.push(...beside.filter((file) => !isImage(file)));
  note(others, "has", "have", `none of the extensions ${IMAGE_EXTENSIONS.join(" ")}`);
  note(beside.filter(isImage), "lies", "lie", "outside the class folders");
  for (const [name, files] of classes) {
    const has = others.some((file) => file.startsWith(join(folder, name, "/"))) ? ", only others" : "";
    const text = `an empty class: it has no ${IMAGE_EXTENSIONS.slice(0, -1).join(", ")} or ${IMAGE_EXTENSIONS.at(-1)} file`;
    if (files.length === 0) throw badData(join(folder, name), `${text}${has}`);
  }
  return classes;
}

type Notes = LoadDataOptions["onNote"];
/** Folders in folders, beyond which a link is taken for a circle. */
const MAX_DEPTH = 16;

/**
 * The images of a folder and of those inside it, sorted by the folder's path, then by name; other files go to `others`.
 */
async function imagesBelow(folder: string, others: string[]): Promise<string[]> {
  const found = await foldersBelow(folder, "", others);
  return found.sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, images]) => images);
}

/** A folder and those inside it, by their paths from the first, with the images in each. */
async function foldersBelow(first: string, path: string, others: string[], depth = 1): Promise<[string, string[]][]> {
  const folder = join(first, path);
  if (depth > MAX_DEPTH)
    throw badData(folder, `folders are nested more than ${MAX_DEPTH} deep: does a link point to a folder above it?`);
  const files = [...(await listFiles(folder))].sort();
  const inner = await listFolders(folder);
  // A link to a folder is listed as a file too.
  const isOther = (file: string) => !isImage(file) && !file.startsWith(".") && !inner.includes(file);
  others.push(...files.filter(isOther).map((file) => join(folder, file)));
  const found: [string, string[]][] = [[path, files.filter(isImage).map((file) => join(folder, file))]];
  for (const name of inner) found.push(...(await foldersBelow(first, `${path}/${name}`, others, depth + 1)));
  return found;
}

/** The files beside the classes. */
async function otherFiles(folder: string): Promise<string[]> {
  const folders = await listFolders(folder);
  const files = [...(await listFiles(folder))].filter((file) => !file.startsWith(".") && !folders.includes(file));
  return files.map((file) => join(folder, file));
}

/** Whether a folder has an image, in it or in one inside. */
async function hasImage(folder: string, depth = 1): Promise<boolean> {
  if ([...(await listFiles(folder))].some(isImage)) return true;
  if (depth === MAX_DEPTH) return false;
  for (const name of await listFolders(folder)) if (await hasImage(join(folder, name), depth + 1)) return true;
  return false;
}

/** Whether a name is that of an image that can be read. */
function isImage(name: string): boolean {
  return IMAGE.test(name) && !name.startsWith(".");
}

/** The size that all images are to have: what the options say, otherwise that of the first one. */
async function commonSize(first: string, options: ImageOptions): Promise<ImageSize> {
  const { imageSize, exifOrientation = false } = options;
  const found = native.imageSize(await readWhole(first), exifOrientation);
  if (typeof found === "string") throw badData(first, found);
  const [channels, height, width] = found;
  const [rows, columns] = typeof imageSize === "number" ? [imageSize, imageSize] : (imageSize ?? [height, width]);
  const size = { channels: options.grey === undefined ? channels : options.grey ? 1 : 3, height: rows, width: columns };
  if (size.channels * rows * columns < 2 ** 31) return size;
  const text = `images of ${size.channels} x ${rows} x ${columns} are too large: choose a smaller size`;
  throw argumentError("imageSize", text);
}

/**
 * Decodes image files (the first frame of a GIF or WebP animation) into `out` [n, channels, height, width], made grey
 * or RGB and resized as Pillow does (`convert`, `resize` with BILINEAR). `BAD_DATA` with the file that is no image,
 * damaged, or unlike the others if the options do not make it alike.
 */
function decodeImages(
  files: readonly string[],
  { channels, height, width }: ImageSize,
  { imageSize, grey, exifOrientation = false }: ImageOptions,
  out: Uint8Array,
): void {
  const features = channels * height * width;
  for (const [start, end] of slices(files.length, BATCH)) {
    const part = files.slice(start, end);
    const contents = part.map((file) => readWholeSync(file));
    const pixels = out.subarray(start * features, end * features);
    const mayResize = imageSize !== undefined;
    const [mayGrey, upright] = [grey === true, exifOrientation];
    const failure = native.decodeImages(contents, pixels, [channels, height, width], mayResize, mayGrey, upright);
    if (failure) throw badData(part[failure.index], withAdvice(failure.problem));
  }
}

function withAdvice(problem: string): string {
  if (problem.startsWith("expected ")) return `${problem}: imageSize (--image-size) makes all alike`;
  return problem.startsWith("a colour image")
    ? `${problem}: grey (--grey) makes all grey, grey: false (--no-grey) gives all colour`
    : problem;
}
