import { execFileSync, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { StudentNet, save, Tensor } from "../../src/index.js";
import { temporaryFolder } from "../support.js";
import {
  distillery,
  ended,
  launch,
  lines,
  MAIN,
  newFolder,
  refused,
  SMALL,
  SMALL_TEACHER,
  STUDENT,
  succeed,
} from "./support.js";

const temporary = temporaryFolder();
const FULL = "/dev/full";
const onUnix = process.platform === "win32" ? test.skip : test;
const withFull = existsSync(FULL) ? describe : describe.skip;

/** A class, a column and a file whose names would command a terminal. */
const RED = "x\x1b[31mred\u202e";
const SHOWN = "x\\u001b[31mred\\u202e";
let cwd: string;

beforeAll(async () => {
  cwd = newFolder(temporary);
  const rows = Array.from({ length: 24 }, (_, i) => `${i % 2},${i % 5},${i % 2 === 0 ? RED : "y"}`);
  writeFileSync(join(cwd, "rows.csv"), ["a,b,label", ...rows].join("\n"));
  await save(new StudentNet().stateDict(), join(cwd, "student.safetensors"));
  await succeed(
    ["train-teacher", "--data", "rows.csv", "--epochs", "1", "--out", "t", "--quiet", ...SMALL_TEACHER],
    cwd,
  );
});

describe("standard output that goes away", () => {
  onUnix("training goes on to its end, and says so", async () => {
    const child = launch(["distill", ...SMALL, "--epochs", "3", "--out", "gone"], cwd, { heldUntil: "SIGCONT" });
    const end = ended(child);
    child.stdout?.once("data", () => {
      child.stdout?.destroy();
      child.kill("SIGCONT");
    });
    const { code, stderr } = await end;
    expect([code, stderr]).toEqual([
      0,
      "standard output was closed: nothing more is printed there; the work goes on\n",
    ]);
    expect(readdirSync(join(cwd, "gone"))).toContain(`${STUDENT}.safetensors`);
    expect(lines(readFileSync(join(cwd, "gone", "metrics.jsonl"), "utf8"))).toHaveLength(3);
  });

  onUnix("a short command says nothing", async () => {
    const child = spawn("sh", ["-c", `exec 3>&1; { '${process.execPath}' '${MAIN}' list; echo $? >&3; } | true`], {
      cwd,
    });
    expect(await ended(child)).toMatchObject({ code: 0, stdout: "0\n", stderr: "" });
  });
});

withFull("standard output on a full disk: one line, and the work is done", () => {
  test.each([
    ["--help"],
    ["--version"],
    ["distill --help"],
    ["data"],
    ["list losses"],
    ["inspect student.safetensors --json"],
    ["evaluate student.safetensors"],
    ["predict rows.csv --student t/teacher.safetensors"],
    ["export student.safetensors --onnx full.onnx"],
    [`train-teacher --epochs 1 --out full ${SMALL_TEACHER.join(" ")}`],
    ["distill --epochs 1 --dry-run"],
    [`compare --data rows.csv --seeds 1 --epochs 1 --parallel 1 --out fullcompare ${SMALL.join(" ")}`],
  ])("%s", async (args) => {
    const descriptor = openSync(FULL, "w");
    const stdio = ["ignore", descriptor, "pipe"] as const;
    const child = spawn(process.execPath, [MAIN, ...args.split(" ")], { cwd, stdio: [...stdio] });
    closeSync(descriptor);
    const { code, stderr } = await ended(child);
    const full = "the disk is full: free some space, or choose another folder";
    expect([stderr, code]).toEqual([`distillery: standard output: can't write it: ${full} (IO_ERROR)\n`, 1]);
  });

  test("what was to be written is there", () => {
    expect([existsSync(join(cwd, "full.onnx")), existsSync(join(cwd, "full", "teacher.pth"))]).toEqual([true, true]);
  });
});

describe("nothing that is printed commands the terminal", () => {
  test.each([
    ["a class", "evaluate t/teacher.safetensors --data rows.csv", 0],
    ["a class in JSON", "predict rows.csv --student t/teacher.safetensors --json", 0],
    ["a flag", `distill --${RED}`, 2],
    ["a command", RED, 2],
    ["a flag's value", `list ${RED}`, 2],
    ["a file that is not there", `inspect ${RED}.pth`, 1],
    ["the same with its stack", `inspect ${RED}.pth --debug`, 1],
    ["a column", `train-teacher --data rows.csv --label-column ${RED}`, 2],
    ["a network", `distill --student ${RED}`, 2],
    ["a folder", `train-teacher --data rows.csv --epochs 1 --out ${RED} ${SMALL_TEACHER.join(" ")}`, 0],
  ])("%s", async (_, args, exit) => {
    const { code, stdout, stderr } = await distillery(args.split(" "), cwd);
    expect(code, stderr).toBe(exit);
    const printed = stdout + stderr;
    expect(printed).not.toContain("\x1b");
    expect(printed).not.toContain("\u202e");
    // All but the first letter: a network's grammar names where its name ends.
    expect(printed).toContain(SHOWN.slice(1));
  });

  test("a tensor's key, and its file's name", async () => {
    const file = `${RED}\nsecond.safetensors`;
    await save({ [`${RED}\nkey`]: new Tensor(new Float32Array(1), [1]) }, join(cwd, file));
    const text = await succeed(["inspect", file], cwd);
    expect(text).toMatch(/^x\\u001b\[31mred\\u202e\\nsecond\.safetensors: /);
    expect(text).toContain("x\\u001b[31mred\\u202e\\nkey");
  });
});

describe("--log-file", () => {
  onUnix("a pipe is refused, where it would wait for a reader", async () => {
    execFileSync("mkfifo", [join(cwd, "pipe")]);
    expect(await refused(["distill", "--epochs", "1", "--log-file", "pipe"], cwd, 1, "IO_ERROR")).toBe(
      "pipe: is a pipe, not a file: pipe the output itself, as 2>&1 | tee (IO_ERROR)",
    );
  });

  const failed = `distillery: ${FULL}: can't write it: the disk is full: free some space, or choose another folder: the log ends here (IO_ERROR)\n`;

  withFull("on a full disk", () => {
    test("a good run prints all, says once that the log failed, and has failed", async () => {
      const data = ["--data", "rows.csv", ...SMALL_TEACHER];
      const args = ["train-teacher", ...data, "--epochs", "2", "--out", "log", "--log-file", FULL];
      const { code, stdout, stderr } = await distillery(args, cwd);
      expect([code, stderr]).toEqual([1, failed]);
      expect(lines(stdout).map((line) => line.split(" ")[0])).toEqual(expect.arrayContaining(["Epoch", "Teacher"]));
    });

    test("a failing command says why", async () => {
      mkdirSync(join(cwd, "folder"), { recursive: true });
      const args = ["distill", "--teacher", "folder", "--log-file", FULL];
      const { code, stderr } = await distillery(args, cwd);
      expect([code, stderr]).toEqual([1, `distillery: folder: is a folder, not a file (IO_ERROR)\n${failed}`]);
    });
  });
});
