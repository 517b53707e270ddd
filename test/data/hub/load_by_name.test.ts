import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { loadImages } from "../../../src/data/index.js";
import { DistilleryError } from "../../../src/errors.js";
import { folderOf, images, refusal } from "../support.js";

const SYSTEM = "/usr/share/datasets/fashion-mnist";
const missing = vi.hoisted(() => ({ system: true }));

// Whether the machine has Debian's package must not matter here.
vi.mock("../../../src/files/read.js", async (original) => {
  const real = await original<typeof import("../../../src/files/read.js")>();
  const listFiles = async (folder: string) => {
    if (folder !== SYSTEM || !missing.system) return real.listFiles(folder);
    throw new DistilleryError("NOT_FOUND", `${folder}: no such folder`);
  };
  return { ...real, listFiles };
});

const cache = join(tmpdir(), "distillery-no-cache");
beforeEach(() => vi.stubEnv("DISTILLERY_CACHE", cache));
afterEach(() => vi.unstubAllEnvs());

describe.each([
  ["fashion-mnist", 0.286, 0.353],
  ["mnist", 0.1307, 0.3081],
  ["kmnist", 0.1918, 0.3483],
])("%s", (name, mean, std) => {
  test("out of DISTILLERY_DATA, with its usual normalisation", async () => {
    vi.stubEnv("DISTILLERY_DATA", folderOf(images()));
    const sets = await loadImages(name);
    expect([sets.name, sets.train.name, sets.test.name]).toEqual([name, name, name]);
    for (const part of [sets.train, sets.test]) expect([part.mean, part.std]).toEqual([mean, std]);
    expect(sets.train.slice(0, 1).inputs.data[3]).toBeCloseTo((1 - mean) / std, 6);
  });

  test("out of its subfolder, before the folder itself", async () => {
    const folder = folderOf(images(), name);
    for (const [file, bytes] of Object.entries(images())) writeFileSync(join(dirname(folder), file), bytes.slice(1));
    vi.stubEnv("DISTILLERY_DATA", dirname(folder));
    expect((await loadImages(name)).train.length).toBe(4);
  });

  test("a part of the files in DISTILLERY_DATA is an error, whatever else there is", async () => {
    const folder = folderOf(images(), name);
    rmSync(join(folder, "t10k-images-idx3-ubyte"));
    vi.stubEnv("DISTILLERY_DATA", dirname(folder));
    expect(await refusal("NOT_FOUND", () => loadImages(name))).toBe(
      `${folder}: expected four IDX files, plain or .gz; missing: t10k-images-idx3-ubyte`,
    );
  });
});

test("a data set is found where a download puts it", async () => {
  vi.stubEnv("DISTILLERY_DATA", "");
  vi.stubEnv("DISTILLERY_CACHE", dirname(folderOf(images(), "kmnist")));
  expect((await loadImages("kmnist")).test.length).toBe(2);
});

describe("nowhere", () => {
  test("fashion-mnist says how to get it", async () => {
    vi.stubEnv("DISTILLERY_DATA", "");
    expect(await refusal("NOT_FOUND", () => loadImages("fashion-mnist"))).toBe(
      `fashion-mnist: not found in ${join(cache, "fashion-mnist")}, ${SYSTEM}: \`distillery data fashion-mnist\` or ` +
        "`apt install dataset-fashion-mnist` brings it; or set DISTILLERY_DATA to a folder with four IDX files, plain or .gz",
    );
  });

  test.each(["mnist", "kmnist"])("%s says how to get it", async (name) => {
    vi.stubEnv("DISTILLERY_DATA", "");
    expect(await refusal("NOT_FOUND", () => loadImages(name))).toBe(
      `${name}: not found in ${join(cache, name)}: \`distillery data ${name}\` brings it; ` +
        "or set DISTILLERY_DATA to a folder with four IDX files, plain or .gz",
    );
  });

  test("the error names where it looked", async () => {
    const empty = folderOf({});
    mkdirSync(join(empty, "other"));
    vi.stubEnv("DISTILLERY_DATA", empty);
    expect(await refusal("NOT_FOUND", () => loadImages("fashion-mnist"))).toMatch(
      `fashion-mnist: not found in ${join(empty, "fashion-mnist")}, ${empty}, ${join(cache, "fashion-mnist")}, ${SYSTEM}: `,
    );
  });
});
