import { type ChildProcess, spawn } from "node:child_process";
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test, vi } from "vitest";
import { expectUnlocked } from "../../src/checkpoint/folder_lock.js";
import { ranksOfJob } from "../../src/mpi.js";
import { describeWith, mpi } from "../helpers/needs.js";
import { temporaryFolder } from "../support.js";
import { bytes, ended, jsonLines, MAIN, newFolder, STUDENT, succeed } from "./support.js";

const temporary = temporaryFolder();
const ARGS = ["distill", "--epochs", "3", "--shards", "8", "--checkpoint-every", "5steps", "--out", "run"];

/** `distillery ARGS` on so many ranks, over-subscribed. */
function mpirun(ranks: number, args: readonly string[], cwd: string, more: readonly string[] = []): ChildProcess {
  const given = [
    "--oversubscribe",
    "--allow-run-as-root",
    "-n",
    String(ranks),
    ...more,
    process.execPath,
    MAIN,
    ...args,
  ];
  return spawn("mpirun", given, { cwd, stdio: ["ignore", "pipe", "pipe"], detached: true });
}

/** The processes that mpirun started, by rank. */
const ranksOf = ({ pid }: ChildProcess): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);

describeWith(mpi(), "one run on several ranks", () => {
  let alone = "";

  beforeAll(async () => {
    alone = newFolder(temporary);
    await succeed([...ARGS, "--threads", "2"], alone);
  });

  const expectSame = (cwd: string, expected = alone) => {
    for (const extension of ["pth", "safetensors"]) {
      const file = `${STUDENT}.${extension}`;
      expect(bytes(cwd, "run", file)).toBe(bytes(expected, "run", file));
    }
    const metrics = (folder: string) =>
      jsonLines(readFileSync(join(folder, "run", "metrics.jsonl"), "utf8")).map(
        ({ seconds: _, samplesPerSecond: __, ...rest }) => rest,
      );
    expect(metrics(cwd)).toEqual(metrics(expected));
  };

  test.each([2, 3, 4])("%i ranks write what one process does", async (ranks) => {
    const cwd = newFolder(temporary);
    const { code, stderr, stdout } = await ended(mpirun(ranks, [...ARGS, "--threads", "1"], cwd));
    expect(code, stderr).toBe(0);
    expect(stdout.match(/^Epoch \[1\/3\]/gm)).toHaveLength(1);
    expectSame(cwd);
  });

  test("BatchNorm over the batch gives the same on 1, 3 and 8 ranks", async () => {
    const batch = ["--batch-norm", "batch", "--teacher-mode", "eval"];
    const args = ["distill", "--epochs", "1", "--shards", "8", "--out", "run", ...batch];
    const one = newFolder(temporary);
    await succeed(args, one);
    for (const ranks of [3, 8]) {
      const cwd = newFolder(temporary);
      const { code, stderr } = await ended(mpirun(ranks, [...args, "--threads", "1"], cwd));
      expect(code, stderr).toBe(0);
      expectSame(cwd, one);
    }
  });

  test("killed on 4 ranks it goes on with 2 to the same bits", async () => {
    const cwd = newFolder(temporary);
    const child = mpirun(4, ARGS, cwd);
    child.stdout?.once("data", () => {
      for (const pid of [child.pid as number, ...ranksOf(child)]) process.kill(pid, "SIGKILL");
    });
    await ended(child);
    expect(child.signalCode).toBe("SIGKILL");
    // The ranks end a moment after mpirun.
    await vi.waitFor(() => expectUnlocked(join(cwd, "run")), 60_000);
    const { code, stderr } = await ended(mpirun(2, [...ARGS, "--resume"], cwd));
    expect(code, stderr).toBe(0);
    expectSame(cwd);
  });

  test.each([
    ["another seed", ["--seed", "7"], /^distillery: rank 1 on \S+: its seed is 7, rank 0 has \d+: all ranks/m],
    ["other options", ["--lr", "0.5"], /^distillery: rank 1 on \S+: its lr is 0.5, rank 0 has/m],
  ])("a rank of %s ends all, with a line that says which", async (_, more, line) => {
    const cwd = newFolder(temporary);
    const colon = [":", "-n", "1", process.execPath, MAIN, ...ARGS, ...more];
    const { code, stderr } = await ended(mpirun(1, [...ARGS, ...colon], cwd));
    expect(code).not.toBe(0);
    expect(stderr).toMatch(line);
  });

  test("a rank of other code ends all, though its version is the same", async () => {
    const [cwd, copy] = [newFolder(temporary), newFolder(temporary)];
    const root = join(MAIN, "..", "..", "..");
    for (const name of readdirSync(root).filter((name) => name === "package.json" || name.endsWith(".node")))
      copyFileSync(join(root, name), join(copy, name));
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
    cpSync(join(root, "dist"), join(copy, "dist"), { recursive: true });
    const main = join(copy, "dist", "cli", "main.js");
    appendFileSync(main, "// built again\n");
    const colon = [":", "-n", "1", process.execPath, main, ...ARGS];
    const { code, stderr } = await ended(mpirun(1, [...ARGS, ...colon], cwd));
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/^distillery: rank 1 on \S+: its code is "[0-9a-f]{64}", rank 0 has "/m);
  });

  test.each(["--chain", "--generations"])("%s is refused by all ranks, in one line", async (flag) => {
    const cwd = newFolder(temporary);
    const value = flag === "--chain" ? "student() -> student()" : "1";
    const { code, stderr } = await ended(mpirun(2, [...ARGS, flag, value], cwd));
    expect(code).toBe(2);
    expect(stderr.match(/^distillery: /gm)).toHaveLength(1);
    expect(stderr).toMatch(/^distillery: rank 0 on \S+: --chain and --generations: mpirun takes one run at a time/m);
    expect(existsSync(join(cwd, "run"))).toBe(false);
  });

  test.each([
    ["--shards that is missing", [], /--shards: expected at least one for each of the 2 ranks, got 1/],
    ["--optimizer", ["--shards", "2", "--optimizer", "sgd(momentum=0.9)"], /--optimizer: momentum: /],
  ])("%s is wrong usage, as of one process", async (_, more, line) => {
    const cwd = newFolder(temporary);
    const { code, stderr } = await ended(mpirun(2, ["distill", "--epochs", "1", "--out", "run", ...more], cwd));
    expect(code, stderr).toBe(2);
    expect(stderr.match(/^distillery: .*/gm)).toEqual([expect.stringMatching(line)]);
  });

  test("a run that is stopped says so once", async () => {
    const cwd = newFolder(temporary);
    const child = mpirun(2, ["distill", "--epochs", "1000", "--shards", "8", "--threads", "1", "--out", "run"], cwd);
    child.stdout?.once("data", () => child.kill("SIGUSR1"));
    const { code, stderr } = await ended(child);
    expect(code, stderr).toBe(75);
    expect(stderr.match(/^distillery: /gm)).toHaveLength(1);
  });

  test("processes that MPI does not find are refused", async () => {
    const cwd = newFolder(temporary);
    const env = { ...process.env, PMI_SIZE: "2", PMI_RANK: "0" };
    const { code, stderr } = await ended(spawn(process.execPath, [MAIN, ...ARGS], { cwd, env }));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^distillery: the job has 2 processes, and MPI finds 1: .*mpirun.* \(NATIVE\)\n$/);
    expect(existsSync(join(cwd, "run"))).toBe(false);
  });

  test("streamed data give the same on 1 and 2 ranks", async () => {
    const data = Array.from({ length: 120 }, (_, i) => `${Math.sin(i)},${Math.cos(3 * i)},${"abc"[i % 3]}`);
    const args = [
      "train-teacher",
      "--data",
      "t.csv",
      "--stream",
      "--epochs",
      "2",
      "--shards",
      "4",
      "--batch-size",
      "16",
    ];
    const [one, two] = [newFolder(temporary), newFolder(temporary)];
    for (const cwd of [one, two]) writeFileSync(join(cwd, "t.csv"), `x,z,label\n${data.join("\n")}\n`);
    await succeed([...args, "--out", "run"], one);
    const { code, stderr } = await ended(mpirun(2, [...args, "--out", "run", "--threads", "1"], two));
    expect(code, stderr).toBe(0);
    expect(bytes(two, "run", "teacher.safetensors")).toBe(bytes(one, "run", "teacher.safetensors"));
  });

  test("a rank that stands still ends all, with a line that says which", async () => {
    const cwd = newFolder(temporary);
    const long = ["distill", "--epochs", "1000", "--shards", "8", "--out", "run"];
    const child = mpirun(2, long, cwd);
    let start = 0;
    child.stdout?.once("data", () => {
      start = performance.now();
      process.kill(ranksOf(child).at(-1) as number, "SIGSTOP");
    });
    const { code, stderr } = await ended(child);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/^distillery: rank 1 gave no sign of life for 10 s/m);
    expect(performance.now() - start).toBeLessThan(60_000);
  });
});

test("a job that hands on an empty or senseless size is one process", () => {
  for (const size of ["", "0", "1", "x", "-2", "1.5"]) {
    expect(ranksOfJob({ PMI_SIZE: size })).toBe(1);
    expect(ranksOfJob({ OMPI_COMM_WORLD_SIZE: size })).toBe(1);
  }
  expect(ranksOfJob({ OMPI_COMM_WORLD_SIZE: "", PMI_SIZE: "4" })).toBe(4);
});
