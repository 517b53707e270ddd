import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CATALOG } from "../../../src/data/hub/catalog.js";
import { cacheFolder } from "../../../src/data/hub/locate.js";
import { DATASET_NAMES, downloadData, findData } from "../../../src/data/index.js";
import { folderOf, images, refusal } from "../support.js";

const cifar10 = (): Record<string, Uint8Array> =>
  Object.fromEntries([1, 2, 3, 4, 5].map((i) => [`data_batch_${i}.bin`, new Uint8Array(i)]));
const ofCifar10 = () => ({ ...cifar10(), "test_batch.bin": new Uint8Array(10) });

beforeEach(() => {
  vi.stubEnv("DISTILLERY_DATA", "");
  vi.stubEnv("DISTILLERY_CACHE", folderOf({}, "cache"));
});
afterEach(() => vi.unstubAllEnvs());

describe("a data set is found", () => {
  test("in its subfolder of DISTILLERY_DATA", async () => {
    const folder = folderOf(images(), "kmnist");
    vi.stubEnv("DISTILLERY_DATA", dirname(folder));
    const bytes = Object.values(images()).reduce((sum, { length }) => sum + length, 0);
    expect(await findData("kmnist")).toEqual({ name: "kmnist", folder, files: Object.keys(images()), bytes });
  });

  test("gzipped, and by its other names", async () => {
    const folder = folderOf(
      Object.fromEntries(Object.keys(images()).map((name) => [name.replace("-idx", ".idx"), new Uint8Array(1)])),
    );
    rmSync(join(folder, "t10k-labels.idx1-ubyte"));
    writeFileSync(join(folder, "t10k-labels-idx1-ubyte.gz"), "abc");
    vi.stubEnv("DISTILLERY_DATA", folder);
    const { files, bytes } = (await findData("mnist")) ?? {};
    expect([files?.[0], files?.[3], bytes]).toEqual(["train-images.idx3-ubyte", "t10k-labels-idx1-ubyte.gz", 6]);
  });

  test("in the folder that its archive unpacks to", async () => {
    const folder = folderOf(ofCifar10(), "cifar-10-batches-bin");
    vi.stubEnv("DISTILLERY_DATA", dirname(folder));
    const files = ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
    expect(await findData("cifar-10")).toEqual({
      name: "cifar-10",
      folder,
      files: [...files, "test_batch.bin"],
      bytes: 25,
    });
  });

  test("where a download put it, and then it is not downloaded", async () => {
    const folder = folderOf({ "train.bin": new Uint8Array(3), "test.bin": new Uint8Array(2) }, "cifar-100");
    vi.stubEnv("DISTILLERY_CACHE", dirname(folder));
    const found = { name: "cifar-100", folder, files: ["train.bin", "test.bin"], bytes: 5 };
    expect(await findData("cifar-100")).toEqual(found);
    expect(await downloadData("cifar-100", { from: "http://127.0.0.1:1" })).toEqual(found);
  });
});

describe("a part of it", () => {
  test("is an error that says what is missing", async () => {
    const folder = folderOf(cifar10());
    vi.stubEnv("DISTILLERY_DATA", folder);
    const text = `${folder}: expected the binary version's files; missing: test_batch.bin`;
    expect(await refusal("NOT_FOUND", () => findData("cifar-10"))).toBe(text);
    expect(await refusal("NOT_FOUND", () => downloadData("cifar-10", { from: "http://127.0.0.1:1" }))).toBe(text);
  });

  test("of an interrupted download is one that a later download continues", async () => {
    const folder = join(process.env.DISTILLERY_CACHE as string, "mnist");
    mkdirSync(folder);
    writeFileSync(join(folder, "train-images-idx3-ubyte.gz"), "");
    expect(await refusal("NOT_FOUND", () => findData("mnist"))).toBe(
      `${folder}: expected four IDX files, plain or .gz; missing: train-labels-idx1-ubyte, t10k-images-idx3-ubyte, ` +
        "t10k-labels-idx1-ubyte; `distillery data mnist` brings the rest",
    );
  });
});

test("nowhere is null", async () => {
  vi.stubEnv("DISTILLERY_DATA", folderOf({ "other.bin": new Uint8Array(1) }));
  for (const name of ["mnist", "cifar-10", "cifar-100"]) expect(await findData(name)).toBe(null);
});

test("what is known is whole", () => {
  expect(DATASET_NAMES).toEqual(["fashion-mnist", "mnist", "kmnist", "cifar-10", "cifar-100"]);
  const hashes = Object.values(CATALOG).flatMap(({ downloads }) => downloads.map(({ sha256 }) => sha256));
  for (const hash of hashes) expect(hash).toMatch(/^[0-9a-f]{64}$/);
  expect(new Set(hashes).size).toBe(14);
  for (const { unpacked, downloads, files } of Object.values(CATALOG)) {
    expect(downloads.length).toBe(unpacked === undefined ? files.length : 1);
  }
});

describe("the cache folder", () => {
  const home = "/home/me";
  test.each<[string, NodeJS.ProcessEnv, string]>([
    ["linux", {}, "/home/me/.cache/distillery"],
    ["linux", { XDG_CACHE_HOME: "/var/me" }, "/var/me/distillery"],
    ["linux", { XDG_CACHE_HOME: "me" }, "/home/me/.cache/distillery"],
    ["linux", { XDG_CACHE_HOME: "/var/me", DISTILLERY_CACHE: "/big/disk" }, "/big/disk"],
    ["linux", { DISTILLERY_CACHE: "" }, "/home/me/.cache/distillery"],
    ["darwin", { XDG_CACHE_HOME: "/var/me" }, "/home/me/Library/Caches/distillery"],
    ["win32", { LOCALAPPDATA: "D:\\me" }, "D:\\me\\distillery\\Cache"],
    ["win32", {}, "\\home\\me\\AppData\\Local\\distillery\\Cache"],
  ])("on %s with %j", (platform, env, expected) => {
    expect(cacheFolder(env, platform, home)).toBe(expected);
  });
});

test("an unknown name is refused", async () => {
  const text =
    'name: expected one of fashion-mnist, mnist, kmnist, cifar-10, cifar-100, got "emnist", did you mean mnist?';
  expect(await refusal("BAD_ARGUMENT", () => findData("emnist"))).toBe(text);
});
