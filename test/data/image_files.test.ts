import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { loadImages } from "../../src/data/index.js";
import { DistilleryError } from "../../src/errors.js";
import { folderOf, images, refusal } from "./support.js";

const SYSTEM = "/usr/share/datasets/fashion-mnist";
const missing = vi.hoisted(() => ({ system: true }));

// Whether the machine has Debian's package must not matter here.
vi.mock("../../src/files/read.js", async (original) => {
  const real = await original<typeof import("../../src/files/read.js")>();
  const listFiles = async (folder: string) => {
    if (folder !== SYSTEM || !missing.system) return real.listFiles(folder);
    throw new DistilleryError("NOT_FOUND", `${folder}: no such folder`);
  };
  return { ...real, listFiles };
});

afterEach(() => vi.unstubAllEnvs());

describe.each([
  ["fashion-mnist", 0.286, 0.353],
  ["mnist", 0.1307, 0.3081],
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

describe("nowhere", () => {
  test("fashion-mnist says how to get it", async () => {
    vi.stubEnv("DISTILLERY_DATA", "");
    expect(await refusal("NOT_FOUND", () => loadImages("fashion-mnist"))).toBe(
      `fashion-mnist: not found in ${SYSTEM}: set DISTILLERY_DATA to a folder with its four IDX files, ` +
        "or `apt install dataset-fashion-mnist`",
    );
  });

  test("mnist says how to get it", async () => {
    vi.stubEnv("DISTILLERY_DATA", "");
    expect(await refusal("NOT_FOUND", () => loadImages("mnist"))).toBe(
      "mnist: not found: set DISTILLERY_DATA to a folder with its four IDX files",
    );
  });

  test("where it looked is said", async () => {
    const empty = folderOf({});
    mkdirSync(join(empty, "other"));
    vi.stubEnv("DISTILLERY_DATA", empty);
    expect(await refusal("NOT_FOUND", () => loadImages("fashion-mnist"))).toMatch(
      `fashion-mnist: not found in ${join(empty, "fashion-mnist")}, ${empty}, ${SYSTEM}: set DISTILLERY_DATA`,
    );
  });
});
