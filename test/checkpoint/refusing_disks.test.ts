import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { CheckpointFiles } from "../../src/checkpoint/checkpoint_files.js";
import { takeLock } from "../../src/checkpoint/folder_lock.js";
import { replaceFile, writeWhole } from "../../src/files/index.js";
import { Tensor } from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";

const system = vi.hoisted(() => ({ refuses: "", isFull: false, busy: 0 }));

vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  const refuse = (code: string, syscall: string) => {
    throw Object.assign(new Error(code), { code, syscall });
  };
  const linkSync = () => refuse(system.refuses, "link");
  const writeFileSync: typeof real.writeFileSync = (file, data, options) => {
    real.writeFileSync(file, system.isFull ? "" : data, options);
    if (system.isFull) refuse("ENOSPC", "write");
  };
  const renameSync: typeof real.renameSync = (file, other) => {
    if (system.busy-- > 0) refuse("EPERM", "rename");
    real.renameSync(file, other);
  };
  return { ...real, linkSync, writeFileSync, renameSync };
});

vi.mock("write-file-atomic", async (original) => {
  const real = (await original<{ default: typeof import("write-file-atomic") }>()).default;
  const write = (file: string, data: string, options: import("write-file-atomic").Options) => {
    if (system.busy-- > 0) throw Object.assign(new Error("EPERM"), { code: "EPERM", syscall: "rename" });
    return real(file, data, options);
  };
  return { default: write };
});

const folder = temporaryFolder();

async function write(files: CheckpointFiles, value: number): Promise<void> {
  await files.write({ w: new Tensor(Float32Array.of(value), [1]) }, {});
  await files.written();
}

test.each(["EPERM", "ENOTSUP", "ENOSYS"])("checkpoints where a link is %s are copied", async (code) => {
  system.refuses = code;
  const path = join(folder, code);
  mkdirSync(path);
  const files = new CheckpointFiles(path, 3);
  for (const value of [1, 2, 3, 4]) await write(files, value);
  const names = ["checkpoint.1.safetensors", "checkpoint.2.safetensors", "checkpoint.safetensors"];
  expect(readdirSync(path).sort()).toEqual(names);
  const kept: unknown[] = [];
  for (const name of [2, 0, 1].map((i) => names[i] as string)) {
    kept.push([...((await files.newest(() => {}))?.tensors.w?.data ?? [])]);
    truncateSync(join(path, name), 0);
  }
  expect(kept).toEqual([[4], [3], [2]]);
});

test("a full disk stays an error, and the checkpoint before stays", async () => {
  system.refuses = "EPERM";
  const path = join(folder, "full");
  mkdirSync(path);
  const files = new CheckpointFiles(path, 2);
  await write(files, 1);
  system.refuses = "ENOSPC";
  expect((await failure(write(files, 2), "IO_ERROR")).message).toContain("the disk is full");
  expect(readdirSync(path)).toEqual(["checkpoint.safetensors"]);
});

test("a damaged checkpoint does not replace the one before it, which was read", async () => {
  system.refuses = "EPERM";
  const path = join(folder, "damaged");
  mkdirSync(path);
  for (const value of [1, 2]) await write(new CheckpointFiles(path, 2), value);
  truncateSync(join(path, "checkpoint.safetensors"), 0);
  const read = async (files: CheckpointFiles) => (await files.newest(() => {}))?.tensors.w?.data[0];
  const [failing, going] = [new CheckpointFiles(path, 2), new CheckpointFiles(path, 2)];
  expect(await read(failing)).toBe(1);
  system.busy = 1;
  await failure(write(failing, 3), "IO_ERROR");
  expect(await read(going)).toBe(1);
  await write(going, 3);
  expect(await read(new CheckpointFiles(path, 2))).toBe(3);
  truncateSync(join(path, "checkpoint.safetensors"), 0);
  expect(await read(new CheckpointFiles(path, 2))).toBe(1);
});

test("a full disk leaves no owner's file, for which the next start would wait", async () => {
  const path = join(folder, "owner");
  mkdirSync(path);
  system.isFull = true;
  expect((await failure(takeLock(path), "IO_ERROR")).message).toContain("the disk is full");
  system.isFull = false;
  expect(existsSync(join(path, "run.owner"))).toBe(false);
});

describe("a file that another program has open", () => {
  const { platform } = process;
  afterEach(() => {
    Object.defineProperty(process, "platform", { value: platform });
    system.busy = 0;
  });
  const [file, other] = [join(folder, "busy.json"), join(folder, "other.json")];

  test("is replaced once Windows lets it", async () => {
    Object.defineProperty(process, "platform", { value: "win32" });
    system.busy = 3;
    await writeWhole(file, "new");
    system.busy = 3;
    replaceFile(file, other);
    expect(readFileSync(other, "utf8")).toBe("new");
  });

  test("for longer is an error, and so is what another system refuses", async () => {
    system.busy = 1;
    await failure(writeWhole(file, "new"), "IO_ERROR");
    Object.defineProperty(process, "platform", { value: "win32" });
    system.busy = 1e9;
    await failure(writeWhole(file, "new"), "IO_ERROR");
    expect(() => replaceFile(other, file)).toThrow("EPERM");
  });
});
