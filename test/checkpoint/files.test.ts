import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { inspectCheckpoint, load, save } from "../../src/checkpoint/index.js";
import { writeWhole } from "../../src/files/index.js";
import { Linear, type StateDict, Tensor } from "../../src/index.js";
import { fileLimits, LINUX, ORDINARY_USER, testWith } from "../helpers/needs.js";
import { failure, temporaryFolder } from "../support.js";

const folder = temporaryFolder();
const state: StateDict = { w: new Tensor(Float32Array.of(1, 2), [2]) };
let folders = 0;

function emptyFolder(): string {
  const path = join(folder, `case${folders++}`);
  mkdirSync(path);
  return path;
}

describe("what save refuses before it writes", () => {
  const weights = state.w;
  const cases: [string, unknown, RegExp][] = [
    [
      "a module",
      new Linear(2, 2),
      /^state: expected a state dict: pass model\.stateDict\(\), got a value of type Linear/,
    ],
    ["null", null, /^state: expected a state dict, tensors by their keys, got null/],
    ["a number", 1, /^state: .* got 1/],
    ["a tensor", weights, /^state: .* got a value of type Tensor/],
    ["an array of tensors", [weights], /^state: .* got \[a value of type Tensor\]/],
    ["a Map", new Map([["w", weights]]), /^state: .* got a value of type Map/],
    ["a nested dict", { model: state }, /^state\["model"\]: expected a tensor, got a value of type Object/],
    ["a bare array", { w: new Float32Array(2) }, /^state\["w"\]: expected a tensor, got a value of type Float32Array/],
    ["half of a surrogate pair", { "\ud83d": weights }, /^state\["\\ud83d"\]: expected text/],
    ["the key __metadata__", { __metadata__: weights }, /__metadata__/],
  ];
  test.each(cases)("%s", async (_, value, reason) => {
    const path = emptyFolder();
    for (const name of ["x.pth", "x.safetensors"]) {
      const { message } = await failure(save(value as StateDict, join(path, name)), "BAD_ARGUMENT");
      expect(message).toMatch(reason);
    }
    expect(readdirSync(path)).toEqual([]);
  });

  test.each(["x.onnx", "x", "pth", ".pth", "x.pth.gz", ""])("the name %j", async (name) => {
    const { message } = await failure(save(state, name), "BAD_ARGUMENT");
    expect(message).toMatch(/^file: expected a name that ends in \.pth or \.safetensors, got "/);
  });

  test("a name that is no text, metadata that is none or has no place", async () => {
    await failure(save(state, 1 as unknown as string), "BAD_ARGUMENT");
    await failure(save(state, "a\0.pth"), "BAD_ARGUMENT");
    await failure(save(state, join(folder, "x.pth"), { metadata: { a: "b" } }), "BAD_ARGUMENT");
    const metadata = { a: 1 } as unknown as Record<string, string>;
    const { message } = await failure(save(state, join(folder, "x.safetensors"), { metadata }), "BAD_ARGUMENT");
    expect(message).toBe('metadata["a"]: expected a text, got 1');
  });
});

describe("what can't be written: IO_ERROR, what was there stays, nothing is left behind", () => {
  test("a folder that is not there", async () => {
    const file = join(emptyFolder(), "missing", "x.pth");
    const { message } = await failure(save(state, file), "IO_ERROR");
    expect(message).toBe(`${file}: can't write it: its folder does not exist: make it first`);
  });

  test("a file in the place of the folder", async () => {
    const path = emptyFolder();
    writeFileSync(join(path, "file"), "");
    const { message } = await failure(save(state, join(path, "file", "x.pth")), "IO_ERROR");
    expect(message).toContain("a part of its path is a file");
    expect(readdirSync(path)).toEqual(["file"]);
  });

  test("a folder in the place of the file", async () => {
    const path = emptyFolder();
    mkdirSync(join(path, "x.pth"));
    const { message } = await failure(save(state, join(path, "x.pth")), "IO_ERROR");
    expect(message).toContain("it is a folder");
    expect(readdirSync(path)).toEqual(["x.pth"]);
  });

  test("a file whose folder takes no other name", async () => {
    const path = emptyFolder();
    const file = join(path, `${"x".repeat(251)}.pth`);
    writeFileSync(file, "before");
    const { message } = await failure(save(state, file), "IO_ERROR");
    expect(message).toContain("the name is too long");
    expect(readFileSync(file, "utf8")).toBe("before");
    expect(readdirSync(path)).toHaveLength(1);
  });

  testWith(ORDINARY_USER, "a folder that is read-only", async () => {
    const path = emptyFolder();
    writeFileSync(join(path, "x.pth"), "before");
    chmodSync(path, 0o555);
    const { message } = await failure(save(state, join(path, "x.pth")), "IO_ERROR");
    chmodSync(path, 0o755);
    expect(message).toContain("permission denied: choose a folder that you may write to");
    expect(readFileSync(join(path, "x.pth"), "utf8")).toBe("before");
  });

  testWith(fileLimits(), "a disk that takes the begin of the file only", async () => {
    const path = emptyFolder();
    writeFileSync(join(path, "x.pth"), "before");
    const large = { w: new Tensor(new Float32Array(2 ** 20), [2 ** 20]) };
    // Heard, so that the system says EFBIG instead of ending the process.
    const heard = () => {};
    process.on("SIGXFSZ", heard);
    limitFiles("1000000");
    try {
      await failure(save(large, join(path, "x.pth")), "IO_ERROR");
    } finally {
      limitFiles("unlimited");
      process.off("SIGXFSZ", heard);
    }
    expect(readFileSync(join(path, "x.pth"), "utf8")).toBe("before");
    expect(readdirSync(path)).toEqual(["x.pth"]);
    await save(large, join(path, "x.pth"));
    expect((await load(join(path, "x.pth"))).w?.size).toBe(2 ** 20);
  });
});

/** The size that files of this process may grow to: as on a full disk, a write then ends in the middle. */
function limitFiles(bytes: string): void {
  execFileSync("prlimit", [`--pid=${process.pid}`, `--fsize=${bytes}:`]);
}

test("save replaces a file, and leaves only it", async () => {
  const path = emptyFolder();
  const file = join(path, "x.pth");
  for (const value of [1, 2]) await save({ w: new Tensor(Float32Array.of(value), [1]) }, file);
  expect((await load(file)).w?.toArray()).toEqual([2]);
  expect(readdirSync(path)).toEqual(["x.pth"]);
});

test("saves at the same time to one file: it is one of them, whole", async () => {
  const path = emptyFolder();
  const file = join(path, "x.safetensors");
  const values = Array.from({ length: 10 }, (_, i) => i);
  await Promise.all(values.map((value) => save({ w: new Tensor(new Float32Array(1000).fill(value), [1000]) }, file)));
  const { w } = await load(file);
  expect(new Set(w?.data as Float32Array).size).toBe(1);
  expect(readdirSync(path)).toEqual(["x.safetensors"]);
});

test("writeWhole writes texts too, through a link", async () => {
  const path = emptyFolder();
  writeFileSync(join(path, "target.json"), "before");
  symlinkSync("target.json", join(path, "link.json"));
  await writeWhole(join(path, "link.json"), "späße\n");
  expect(readFileSync(join(path, "target.json"), "utf8")).toBe("späße\n");
});

describe.each([["load", load] as const, ["inspectCheckpoint", inspectCheckpoint] as const])("%s", (_, read) => {
  test("a file that is not there is NOT_FOUND", async () => {
    const file = join(folder, "missing.pth");
    expect((await failure(read(file), "NOT_FOUND")).message).toBe(`${file}: no such file`);
    writeFileSync(join(folder, "file"), "");
    await failure(read(join(folder, "file", "x.pth")), "NOT_FOUND");
  });

  test("a folder and a device are IO_ERROR, another type BAD_ARGUMENT", async () => {
    expect((await failure(read(folder), "IO_ERROR")).message).toBe(`${folder}: is a folder, not a file`);
    if (process.platform !== "win32") {
      expect((await failure(read("/dev/zero"), "IO_ERROR")).message).toContain("is not a regular file");
    }
    await failure(read(""), "BAD_ARGUMENT");
    await failure(read(undefined as unknown as string), "BAD_ARGUMENT");
  });
});

testWith(LINUX, "writeWhole refuses a pipe, also behind a link, and leaves it", async () => {
  const path = emptyFolder();
  execFileSync("mkfifo", [join(path, "pipe")]);
  symlinkSync("pipe", join(path, "link"));
  for (const name of ["pipe", "link"]) {
    const { message } = await failure(writeWhole(join(path, name), "x"), "IO_ERROR");
    expect(message).toBe(`${join(path, name)}: is not a regular file, which alone is written: choose another name`);
  }
  expect(statSync(join(path, "pipe")).isFIFO()).toBe(true);
  expect(readdirSync(path).sort()).toEqual(["link", "pipe"]);
});
