import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { describeWith, mounts } from "../helpers/needs.js";
import { temporaryFolder } from "../support.js";
import { bytes, distillery, ended, jsonLines, launch, newFolder, printed, STUDENT, succeed } from "./support.js";

const temporary = temporaryFolder();
const EPOCHS = 10;
const ARGS = ["distill", "--epochs", String(EPOCHS), "--checkpoint-every", "5steps"];
const FILES = [`${STUDENT}.pth`, `${STUDENT}.safetensors`];

const mount = (...args: string[]) => execFileSync("mount", args, { stdio: "ignore" });

describeWith(mounts(), "a disk that fails in mid-run", () => {
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
  /** A run that ended before the fault came would show nothing. */
  const expectInterrupted = (out: string) => {
    const { length } = existsSync(join(out, "metrics.jsonl"))
      ? jsonLines(readFileSync(join(out, "metrics.jsonl"), "utf8"))
      : [];
    expect(length).toBeLessThan(EPOCHS);
  };
  const expectWhole = (out: string) => {
    for (const file of FILES) expect(bytes(out, file)).toBe(bytes(whole, "run", file));
    const metrics = jsonLines(Buffer.from(bytes(out, "metrics.jsonl"), "base64").toString());
    expect(metrics.map(({ epoch }) => epoch)).toEqual(Array.from({ length: EPOCHS }, (_, i) => i + 1));
  };

  test("made read-only: one line says so, and once it is writable again the run resumes to the same end", async () => {
    const out = newDisk(64);
    const child = launch([...ARGS, "--out", out], temporary, { heldUntil: "SIGCONT" });
    const running = ended(child);
    await printed(child, "held");
    // Refused for the moment that a file is open for writing.
    await vi.waitFor(() => mount("-o", "remount,ro", disk), 60_000);
    child.kill("SIGCONT");
    const { code, stderr } = await running;
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/^distillery: [^\n]*the disk is read-only[^\n]*\(IO_ERROR\)\n$/);
    expectInterrupted(out);
    mount("-o", "remount,rw", disk);
    await succeed([...ARGS, "--out", out, "--resume"], temporary);
    expectWhole(out);
  });

  test("full: one line says so, and with more room the run resumes to the same end", async () => {
    // Room for one checkpoint of 6.5 MB and a part of the next.
    const out = newDisk(9);
    const { code, stderr } = await distillery([...ARGS, "--out", out], temporary);
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/^distillery: [^\n]*the disk is full[^\n]*\(IO_ERROR\)\n$/);
    expectInterrupted(out);
    mount("-o", "remount,size=64m", disk);
    await succeed([...ARGS, "--out", out, "--resume"], temporary);
    expectWhole(out);
  });
});
