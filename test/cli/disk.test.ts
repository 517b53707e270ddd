import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../checkpoint/support.js";
import { bytes, distillery, jsonLines, newFolder, STUDENT, succeed } from "./support.js";

const temporary = temporaryFolder();
const ARGS = ["distill", "--epochs", "4", "--checkpoint-every", "5steps"];
const FILES = [`${STUDENT}.pth`, `${STUDENT}.safetensors`];

const mount = (...args: string[]) => execFileSync("mount", args, { stdio: "ignore" });

/** Disks of one's own take the rights to mount them, which CI has. */
function canMount(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  try {
    execFileSync("unshare", ["-m", "mount", "-t", "tmpfs", "tmpfs", "/tmp"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe.runIf(canMount())("a disk that fills in mid-run", () => {
  let whole = "";
  let disk = "";

  beforeAll(async () => {
    whole = newFolder(temporary);
    await succeed([...ARGS, "--out", "run"], whole);
  });
  afterEach(() => void execFileSync("umount", [disk]));

  const newDisk = (megabytes: number) => {
    disk = join(newFolder(temporary), "disk");
    mkdirSync(disk);
    mount("-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", disk);
    return join(disk, "run");
  };
  const expectWhole = (out: string) => {
    for (const file of FILES) expect(bytes(out, file)).toBe(bytes(whole, "run", file));
    const metrics = jsonLines(Buffer.from(bytes(out, "metrics.jsonl"), "base64").toString());
    expect(metrics.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
  };

  test("one line says so, and with more room the run goes on to the same end", async () => {
    // Room for one checkpoint of 6.5 MB and a part of the next.
    const out = newDisk(9);
    const { code, stderr } = await distillery([...ARGS, "--out", out], temporary);
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/^distillery: [^\n]*the disk is full[^\n]*\(IO_ERROR\)\n$/);
    mount("-o", "remount,size=64m", disk);
    await succeed([...ARGS, "--out", out, "--resume"], temporary);
    expectWhole(out);
  });
});
