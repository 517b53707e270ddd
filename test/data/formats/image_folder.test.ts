import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  type ImageDataset,
  labelsOf,
  loadData,
  parsePreprocessing,
  preprocessingOf,
  readSamples,
} from "../../../src/data/index.js";
import { adaptationOf } from "../../../src/data/preprocessing/adapt.js";
import { image, planes } from "../image_support.js";
import { folderOf, refusal } from "../support.js";

const WHOLE = { testFraction: 0 };
const colour = image("colour.png");
const grey = image("grey.png");
const jpeg = image("full.jpg");

/** A folder of folders. */
function tree(files: Record<string, Uint8Array | string>): string {
  const folder = folderOf({}, "pets");
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

/** Two classes of two images. */
const pets = {
  "dog/b.png": colour,
  "dog/a.PNG": image("alpha.png"),
  "cat/x.Jpeg": jpeg,
  "cat/y.jpg": image("shades.jpg"),
};

describe("images by class", () => {
  test("classes and files are sorted by name, all become colour as the first is", async () => {
    const { name, train, test } = await loadData(tree(pets), WHOLE);
    expect([name, train.length, train.features, train.classes, test]).toEqual(["pets", 4, 3 * 9 * 13, 2, null]);
    expect([train.classNames, [...labelsOf(train)]]).toEqual([
      ["cat", "dog"],
      [0, 0, 1, 1],
    ]);
    const pixels = Array.from((train as ImageDataset).pixels);
    const size = 351;
    const distance = (at: number, name: string) =>
      planes(name).reduce((most, x, i) => Math.max(most, Math.abs(x - (pixels[at * size + i] as number))), 0);
    expect(distance(0, "full.rgb")).toBeLessThanOrEqual(1);
    expect(distance(1, "shades.rgb")).toBeLessThanOrEqual(1);
    expect([distance(2, "alpha.rgb"), distance(3, "colour.rgb")]).toEqual([0, 0]);
    expect(train.image).toMatchObject({ channels: 3, height: 9, width: 13 });
    expect(train.image?.mean).toHaveLength(3);
  });

  test("train and test", async () => {
    const files = Object.entries(pets).map(([path, bytes]) => [`train/${path}`, bytes] as const);
    const folder = tree({ ...Object.fromEntries(files), "test/dog/1.png": colour, "test/cat/1.png": grey });
    const { train, test } = await loadData(folder);
    expect([train.length, test?.length, test?.classes, test?.classNames]).toEqual([4, 2, 2, ["cat", "dog"]]);
    expect(test?.labels?.toArray()).toEqual([0, 1]);
    const pixels = Array.from((test as ImageDataset).pixels);
    expect(pixels).toEqual([...planes("grey.rgb"), ...planes("colour.rgb")]);
    expect(test?.image).toEqual(train.image);
  });

  test("train alone has a share set aside", async () => {
    const files = { "train/a/1.png": grey, "train/a/2.png": grey, "train/b/1.png": grey, "train/b/2.png": grey };
    const { train, test } = await loadData(tree(files), { testFraction: 0.5 });
    expect([[...labelsOf(train)], test?.labels?.toArray(), train.features]).toEqual([[0, 1], [0, 1], 117]);
  });

  test.each(["val", "valid", "validation"])(
    "%s/ is the validation part, normalised as the training part is",
    async (name) => {
      const files = { "train/a/1.png": grey, "train/b/1.png": grey, [`${name}/b/1.png`]: colour, "test/a/1.png": grey };
      const { train, validation, test } = await loadData(tree(files), { grey: true });
      expect([validation?.length, [...labelsOf(validation as ImageDataset)], test?.length]).toEqual([1, [1], 1]);
      expect(validation?.image).toEqual(train.image);
      expect(Array.from((validation as ImageDataset).pixels)).toEqual(planes("colour.grey", 1));
    },
  );

  test("made grey, and resized as Pillow does", async () => {
    const { train } = await loadData(tree(pets), { ...WHOLE, grey: true });
    expect(Array.from((train as ImageDataset).pixels.slice(3 * 117))).toEqual(planes("colour.grey", 1));
    const large = tree({ "a/1.png": image("large.png"), "a/2.png": colour, "b/1.png": image("large.png") });
    const sets = await loadData(large, { ...WHOLE, imageSize: [70, 90] });
    expect(sets.train.image).toMatchObject({ channels: 3, height: 70, width: 90 });
    expect(Array.from((sets.train as ImageDataset).pixels.subarray(0, 18900))).toEqual(planes("resized_90x70.rgb"));
    const small = await loadData(large, { ...WHOLE, imageSize: 8 });
    expect(Array.from((small.train as ImageDataset).pixels.subarray(0, 192))).toEqual(planes("resized_8x8.rgb"));
  });

  test("grey images made colour", async () => {
    const { train } = await loadData(tree({ "a/1.png": grey, "b/1.png": colour }), { ...WHOLE, grey: false });
    expect(Array.from((train as ImageDataset).pixels)).toEqual([...planes("grey.rgb"), ...planes("colour.rgb")]);
    expect(preprocessingOf(train)).toMatchObject({ kind: "image", channels: 3, classNames: ["a", "b"] });
  });

  test("for a network that knows the classes, any of them in any part", async () => {
    const all = await loadData(tree({ "a/1.png": grey, "b/1.png": grey, "c/1.png": grey, "d/1.png": grey }), WHOLE);
    const preprocessing = preprocessingOf(all.train);
    const few = tree({ "train/b/1.png": grey, "train/d/1.png": grey, "test/c/1.png": grey, "val/a/1.png": grey });
    const { train, test: held, validation } = await loadData(few, { preprocessing });
    expect([train, held, validation].map((part) => part && [...labelsOf(part)])).toEqual([[1, 3], [2], [0]]);
    expect(train.classNames).toEqual(["a", "b", "c", "d"]);
    const other = tree({ "train/b/1.png": grey, "test/e/1.png": grey });
    expect(await refusal("BAD_DATA", () => loadData(other, { preprocessing }))).toContain(
      'the network does not know the class "e": it knows "a", "b", "c", "d"',
    );
  });

  test("more images than are read at once", async () => {
    const files = Array.from({ length: 70 }, (_, i) => [
      `c${i % 2}/${i}.png`,
      i % 3 === 0 ? grey : image("one_bit.png"),
    ]);
    const { train } = await loadData(tree(Object.fromEntries(files)), WHOLE);
    const { pixels } = train as ImageDataset;
    const order = [0, 1].flatMap((c) =>
      files
        .map((_, i) => i)
        .filter((i) => i % 2 === c)
        .map(String)
        .sort()
        .map(Number),
    );
    for (const [at, i] of order.entries()) {
      const name = i % 3 === 0 ? "grey.grey" : "one_bit.grey";
      expect(Array.from(pixels.subarray(at * 117, (at + 1) * 117))).toEqual(planes(name, 1));
    }
  });

  test("other files, hidden folders, and links", async () => {
    const folder = tree({
      "a/1.png": grey,
      "a/notes.txt": "x",
      "a/._1.png": "x",
      ".git/x.png": "x",
      "readme.md": "x",
      "b/1.png": grey,
    });
    symlinkSync(join(folder, "b"), join(folder, "c"), "junction");
    symlinkSync(join(folder, "a", "1.png"), join(folder, "b", "2.png"));
    const { train } = await loadData(folder, WHOLE);
    expect([train.classNames, [...labelsOf(train)]]).toEqual([
      ["a", "b", "c"],
      [0, 1, 1, 2, 2],
    ]);
  });
});

describe("what else is in a folder of images", () => {
  test("WebP, BMP and GIF, and folders inside classes, in torchvision's order", async () => {
    const folder = tree({
      "cat/2.png": colour,
      "cat/more/deep/1.webp": image("lossless.webp"),
      "cat/more/3.BMP": image("bitmap.bmp"),
      "cat/more-1/4.bmp": image("bits_4.bmp"),
      "dog/only/inside/1.gif": image("frames.gif"),
    });
    const notes: string[] = [];
    const { train } = await loadData(folder, { ...WHOLE, onNote: (text) => notes.push(text) });
    expect([train.classNames, [...labelsOf(train)], notes]).toEqual([["cat", "dog"], [0, 0, 0, 0, 1], []]);
    // As Python sorts the folders' paths: "-" is before "/".
    const stems = ["colour", "bitmap", "bits_4", "lossless", "frames"];
    expect(Array.from((train as ImageDataset).pixels)).toEqual(stems.flatMap((stem) => planes(`${stem}.rgb`)));
    const spec = preprocessingOf(train);
    const samples = await readSamples(join(folder, "dog/only/inside/1.gif"), spec);
    expect(samples.inputs).toEqual(train.slice(4, 5).inputs);
  });

  test("other files are counted and named in one line", async () => {
    const others = {
      "a/1.tiff": "x",
      "b/in/2.heic": "x",
      "b/3.txt": "x",
      "readme.md": "x",
      "a/.hidden": "x",
      "a/z": "x",
    };
    const folder = tree({ "a/1.png": grey, "b/1.png": grey, ...others });
    const notes: string[] = [];
    await loadData(folder, { ...WHOLE, onNote: (text) => notes.push(text) });
    expect(notes).toEqual([
      `${folder}: 5 files are not read, which have none of the extensions .png .jpg .jpeg .webp .bmp .gif: ` +
        '"a/1.tiff", "a/z", "b/3.txt", "b/in/2.heic" and 1 more',
    ]);
  });

  test("an image beside the class folders, and one other file", async () => {
    const folder = tree({ "a/1.png": grey, "b/1.png": grey, "x.png": grey, "b/notes.txt": "x" });
    const notes: string[] = [];
    await loadData(folder, { ...WHOLE, onNote: (text) => notes.push(text) });
    expect(notes).toEqual([
      `${folder}: 1 file is not read, which has none of the extensions .png .jpg .jpeg .webp .bmp .gif: "b/notes.txt"`,
      `${folder}: 1 file is not read, which lies outside the class folders: "x.png"`,
    ]);
  });

  test("a link to a folder above", async () => {
    const folder = tree({ "a/1.png": grey, "b/1.png": grey });
    symlinkSync(folder, join(folder, "a", "up"), "junction");
    expect(await refusal("BAD_DATA", () => loadData(folder))).toMatch(/folders are nested more than 16 deep/);
  });

  test("EXIF: images are read as they are stored, and turned upright if asked", async () => {
    const folder = tree({ "a/1.png": image("turned_6.png"), "b/1.webp": image("turned_6.webp") });
    for (const exifOrientation of [false, true]) {
      const { train } = await loadData(folder, { ...WHOLE, exifOrientation });
      const expected = planes(exifOrientation ? "turned_6.rgb" : "turned_1.rgb");
      expect(Array.from((train as ImageDataset).pixels)).toEqual([...expected, ...expected]);
      expect(train.image).toMatchObject(exifOrientation ? { height: 13, width: 9 } : { height: 9, width: 13 });
      // A network's file says how its images were read.
      const preprocessing = parsePreprocessing(JSON.parse(JSON.stringify(preprocessingOf(train))), "x");
      const { inputs } = await readSamples(join(folder, "a/1.png"), preprocessing);
      expect(inputs).toEqual(train.slice(0, 1).inputs);
      for (const stream of [false, true]) {
        const again = await loadData(folder, { testFraction: 0, preprocessing, stream });
        expect(preprocessingOf(again.train)).toEqual(preprocessing);
        expect(again.train.slice(0, 2).inputs).toEqual(train.slice(0, 2).inputs);
      }
    }
    const [stored, upright] = await Promise.all(
      [false, true].map(
        async (exifOrientation) => (await loadData(folder, { ...WHOLE, exifOrientation, imageSize: 9 })).train,
      ),
    );
    const preprocessing = preprocessingOf(upright);
    expect(
      await refusal("SHAPE_MISMATCH", () =>
        adaptationOf({ spec: preprocessing, name: "net" }, { spec: preprocessingOf(stored), name: "data" }),
      ),
    ).toBe(
      "net: was trained on images turned as their EXIF orientation says: data has them as they are stored: exifOrientation (--exif-orientation) turns them",
    );
    expect(await refusal("BAD_ARGUMENT", () => loadData(folder, { onNote: 1 as never }))).toBe(
      "onNote: expected a function, got 1",
    );
  });
});

describe("refused", () => {
  test.each<[string, Record<string, Uint8Array | string>, string, string]>([
    [
      "an empty class",
      { ...pets, "bird/notes.txt": "x" },
      "bird",
      "an empty class: it has no .png, .jpg, .jpeg, .webp, .bmp or .gif file, only others",
    ],
    ["one class", { "cat/1.png": grey }, "", 'expected at least two classes, got only "cat"'],
    [
      "a text with the name of a image",
      { ...pets, "cat/z.png": "<html>" },
      "cat/z.png",
      "no PNG, JPEG, WebP, BMP or GIF image: it begins with [3c, 68, 74, 6d]",
    ],
    [
      "an empty file",
      { ...pets, "cat/z.png": "" },
      "cat/z.png",
      "no PNG, JPEG, WebP, BMP or GIF image: it begins with []",
    ],
    [
      "a cut image",
      { ...pets, "dog/b.png": colour.subarray(0, -1) },
      "dog/b.png",
      "truncated: it ends before its last marker, IEND",
    ],
    [
      "a cut first image",
      { ...pets, "cat/x.Jpeg": jpeg.subarray(0, 300) },
      "cat/x.Jpeg",
      "truncated: it ends before its last marker, EOI",
    ],
    [
      "another size",
      { ...pets, "dog/b.png": image("large.png") },
      "dog/b.png",
      "expected 13 x 9 pixels, got 61 x 47: imageSize (--image-size) makes all alike",
    ],
    [
      "colour among grey",
      { "a/1.png": grey, "b/1.png": colour },
      "b/1.png",
      "a colour image among grey ones: grey (--grey) makes all grey, grey: false (--no-grey) gives all colour",
    ],
    [
      "two validation parts",
      { "train/a/1.png": grey, "train/b/1.png": grey, "val/a/1.png": grey, "valid/a/1.png": grey },
      "",
      'expected only train, val and test, found "valid" too: move or rename it',
    ],
    [
      "a validation class that training lacks",
      { "train/a/1.png": grey, "train/b/1.png": grey, "valid/c/1.png": grey },
      "valid/c",
      "a class that is not in FOLDER/train",
    ],
    [
      "a test class that training lacks",
      { "train/a/1.png": grey, "train/b/1.png": grey, "test/c/1.png": grey },
      "test/c",
      "a class that is not in FOLDER/train",
    ],
    [
      "an empty class of the test part",
      { "train/a/1.png": grey, "train/b/1.png": grey, "test/b/x": "" },
      "test/b",
      "an empty class: it has no .png, .jpg, .jpeg, .webp, .bmp or .gif file, only others",
    ],
  ])("%s", async (_, files, blamed, problem) => {
    const folder = tree(files);
    const text = `${join(folder, blamed)}: ${problem.replace("FOLDER", folder)}`;
    expect(await refusal("BAD_DATA", () => loadData(folder, WHOLE))).toBe(text);
  });

  test("a wrong checksum", async () => {
    const damaged = colour.slice();
    damaged[colour.length - 14] = (colour[colour.length - 14] as number) ^ 1;
    const folder = tree({ ...pets, "dog/b.png": damaged });
    expect(await refusal("BAD_DATA", () => loadData(folder))).toMatch(/dog\/b\.png: damaged: .*CRC/);
  });

  test("a WebP of one colour has any size in 30 bytes, of which 2^26 pixels are read", async () => {
    const of = (width: number, height: number) =>
      tree({ "a/1.webp": blackWebp(width, height), "a/2.webp": blackWebp(width, height), "b/1.webp": blackWebp(1, 1) });
    const { train } = await loadData(of(500, 400), { testFraction: 0, imageSize: [400, 500] });
    expect((train as ImageDataset).image).toMatchObject({ height: 400, width: 500, mean: [0, 0, 0] });
    const folder = of(8192, 8193);
    expect(await refusal("BAD_DATA", () => loadData(folder))).toBe(
      `${join(folder, "a/1.webp")}: 8192 x 8193 pixels; at most ${2 ** 26} are read`,
    );
  });

  test("a header that claims 3.6 thousand million pixels allocates nothing", async () => {
    const bomb = colour.slice();
    new DataView(bomb.buffer).setUint32(16, 60_000);
    new DataView(bomb.buffer).setUint32(20, 60_000);
    const { crc32 } = await import("node:zlib");
    new DataView(bomb.buffer).setUint32(29, crc32(bomb.subarray(12, 29)));
    const folder = tree({ "a/1.png": bomb, "b/1.png": bomb });
    const before = process.resourceUsage().maxRSS / 1024;
    expect(await refusal("BAD_DATA", () => loadData(folder, { imageSize: 8 }))).toBe(
      `${join(folder, "a/1.png")}: claims 60000 x 60000 pixels, more than its ${bomb.length} bytes can hold`,
    );
    expect(process.resourceUsage().maxRSS / 1024 - before).toBeLessThan(64);
  });

  test("more than memory has", async () => {
    const folder = tree({ "a/1.png": colour, "b/1.png": colour });
    const text = "imageSize: images of 3 x 65535 x 65535 are too large: choose a smaller size";
    expect(await refusal("BAD_ARGUMENT", () => loadData(folder, { imageSize: 65_535 }))).toBe(text);
  });

  test.each([0, 1.5, 65_536, "32", [32], [32, 0], null])("the size %j", async (imageSize) => {
    const text = await refusal("BAD_ARGUMENT", () => loadData(tree(pets), { imageSize: imageSize as number }));
    expect(text).toMatch(/^imageSize: expected a whole number from 1 to 65535, or two: rows and columns, got /);
  });
});

test.each([
  ["Training", "Testing"],
  ["training", "testing"],
  ["Train", "Test"],
  ["TRAIN", "TEST"],
  ["train_set", "test_set"],
])("%s/ and %s/ are parts, not classes", async (training, testing) => {
  const files = { [`${training}/a/1.png`]: grey, [`${training}/b/1.png`]: grey, [`${testing}/b/1.png`]: grey };
  const { train, test: tested, validation } = await loadData(tree({ ...files, "Val/a/1.png": grey }));
  expect([train.classNames, train.length]).toEqual([["a", "b"], 2]);
  expect([labelsOf(tested as ImageDataset), labelsOf(validation as ImageDataset)].map((one) => [...one])).toEqual([
    [1],
    [0],
  ]);
});

test.each(["dev", "eval", "Training"])("train/ beside %s/ is refused, and parts without train/ are", async (name) => {
  const folder = tree({ "train/a/1.png": grey, "train/b/1.png": grey, [`${name}/b/1.png`]: grey });
  expect(await refusal("BAD_DATA", () => loadData(folder))).toMatch(
    /expected only train, val and test, found "(dev|eval|train)" too: move or rename it$/,
  );
  const parts = tree({ "Test/a/1.png": grey, "Valid/a/1.png": grey });
  expect(await refusal("BAD_DATA", () => loadData(parts))).toContain('expected a folder train beside "Test", "Valid"');
});

test.each([
  ["Train.csv", "Test.csv"],
  ["TRAIN.CSV", "TEST.CSV"],
  ["training.csv", "testing.csv"],
  ["train_set.csv", "test_set.csv"],
])("%s and %s in a folder, and by the file's name", async (training, testing) => {
  const folder = folderOf(
    { [training]: Buffer.from("x,y\n1,a\n2,b\n3,a\n"), [testing]: Buffer.from("x,y\n2,b\n") },
    "rows",
  );
  for (const source of [folder, join(folder, training)]) {
    const { train, test: tested } = await loadData(source);
    expect([train.length, tested?.length]).toEqual([3, 1]);
  }
});

/** A lossless WebP whose five prefix codes have one symbol each, so that a pixel takes no bit. */
function blackWebp(width: number, height: number): Uint8Array {
  const bytes = Buffer.from("RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\0\0\0\0\x88\x88\x08\0\0", "latin1");
  bytes.writeUInt32LE(bytes.length - 8, 4);
  bytes.writeUInt32LE(bytes.length - 20, 16);
  bytes.writeUInt32LE(width - 1 + (height - 1) * 2 ** 14, 21);
  return bytes;
}
