import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fingerprint, load } from "../../src/checkpoint/index.js";
import { fixture } from "../checkpoint/support.js";
import { temporaryFolder } from "../support.js";
import { ended, MAIN, newFolder, refused, SMALL, SMALL_TEACHER, STUDENT, succeed } from "./support.js";

const temporary = temporaryFolder();

test.skipIf(process.platform === "win32")("a working folder that is gone: one line, at once", async () => {
  const script = `rmdir "$PWD" && exec "${process.execPath}" "${MAIN}" distill --epochs 1`;
  const child = spawn("sh", ["-c", script], { cwd: newFolder(temporary), stdio: ["ignore", "pipe", "pipe"] });
  const { code, stderr } = await ended(child);
  expect([code, stderr]).toEqual([1, "distillery: the working folder is gone: change to one that exists (IO_ERROR)\n"]);
});

test("logs onto the run's own files, onto what is read, and both on one: usage", async () => {
  const cwd = newFolder(temporary);
  writeFileSync(join(cwd, "a.csv"), "a,label\n1,x\n2,y\n");
  const own = await refused(["distill", "--csv", "r/metrics.jsonl", "--out", "r"], cwd, 2, "BAD_ARGUMENT");
  expect(own).toContain("--csv: r/metrics.jsonl is the file that the run itself writes: give another name");
  const chain = await refused(["distill", "--log-file", "r/chain.json", "--out", "r"], cwd, 2, "BAD_ARGUMENT");
  expect(chain).toContain("--log-file: r/chain.json is the file that the run itself writes: give another name");
  const read = await refused(["train-teacher", "--data", "a.csv", "--log-file", "./a.csv"], cwd, 2, "BAD_ARGUMENT");
  expect(read).toContain("--log-file: ./a.csv is the file that --data names: give another name");
  const both = await refused(["distill", "--csv", "x", "--log-file", "x"], cwd, 2, "BAD_ARGUMENT");
  expect(both).toContain("--log-file: x is the file that --csv names");
});

test.skipIf(process.platform === "win32").each(["--csv", "--log-file"])(
  "%s onto the file that standard output goes to is refused, which keeps what is there",
  async (flag) => {
    const cwd = newFolder(temporary);
    const script = `"${process.execPath}" "${MAIN}" distill --epochs 1 --out r ${flag} printed >> printed`;
    writeFileSync(join(cwd, "printed"), "before\n");
    const { code, stderr } = await ended(spawn("sh", ["-c", script], { cwd, stdio: ["ignore", "pipe", "pipe"] }));
    const text = "printed: is where the output goes that is printed: choose another name";
    expect([code, stderr.split("\n").at(-2)]).toEqual([1, `distillery: ${text} (IO_ERROR)`]);
    expect(readFileSync(join(cwd, "printed"), "utf8")).toBe("before\n");
  },
);

test("a file of the run that leads in a circle has one line", async () => {
  const cwd = newFolder(temporary);
  mkdirSync(join(cwd, "r"));
  symlinkSync("run.lock", join(cwd, "r", "run.lock"));
  const text = await refused(["distill", "--epochs", "1", "--out", "r"], cwd, 1, "IO_ERROR");
  expect(text).toMatch(/^r.run\.lock: can't write it: ELOOP/);
});

test("--overwrite replaces a run of other options, and is not for --resume", async () => {
  const cwd = newFolder(temporary);
  const run = (...more: string[]) => ["distill", ...SMALL, "--no-report", "--quiet", "--out", "r", ...more];
  await succeed(run("--epochs", "1"), cwd);
  expect(await refused(run("--epochs", "2"), cwd, 78, "BAD_CONFIG")).toMatch(
    /epochs was 1, is 2: .*--overwrite replaces/,
  );
  await succeed(run("--epochs", "2", "--overwrite"), cwd);
  await refused(run("--resume", "--overwrite"), cwd, 2, "BAD_ARGUMENT");
});

test("--overwrite refuses to read what it removes", async () => {
  const cwd = newFolder(temporary);
  for (const [name, config] of [
    ["generation-2", { command: "distill", userOptions: {} }],
    ["teacher", { command: "train-teacher", seed: 0 }],
  ] as const) {
    mkdirSync(join(cwd, "r", name), { recursive: true });
    writeFileSync(join(cwd, "r", name, "config.json"), JSON.stringify(config));
  }
  for (const [command, ...args] of [
    ["train-teacher", "--data", "synthetic", "--from", "r/teacher_best.pth"],
    ["distill", "--teacher", `./r/${STUDENT}.safetensors`],
    ["distill", "--generations", "2", "--teacher", "r/generation-2/x.safetensors"],
    ["compare", "--data", "a.csv", "--teacher", "r/teacher/teacher_best.safetensors"],
  ]) {
    const given = [command as string, ...args, "--out", "r", "--overwrite"];
    expect(await refused(given, cwd, 2, "BAD_ARGUMENT")).toBe(
      `${args.at(-2)}: --overwrite removes ${args.at(-1)}, which lies in --out: copy it elsewhere (BAD_ARGUMENT)`,
    );
  }
  // A teacher that a person trained there is not the comparison's.
  writeFileSync(
    join(cwd, "r", "teacher", "config.json"),
    JSON.stringify({ command: "train-teacher", userOptions: {} }),
  );
  const own = ["compare", "--data", "a.csv", "--teacher", "r/teacher/teacher.pth", "--out", "r", "--overwrite"];
  expect(await refused(own, cwd, 1, "NOT_FOUND")).toContain("a.csv");
});

test("--key and --strip-prefix", async () => {
  const cwd = newFolder(temporary);
  const two = fixture("found/two.pth");
  expect(await refused(["inspect", two], cwd, 1, "BAD_CHECKPOINT")).toContain("on the command line --key model");
  expect(await succeed(["inspect", two, "--key", "model_ema"], cwd)).toContain("29 parameters");
  const stripped = await succeed(["inspect", fixture("found/backbone.pth"), "--strip-prefix", "backbone."], cwd);
  expect(stripped).toMatch(/^fc1\.weight /m);
});

test("--from refuses weights of the same columns in another order; help of experiments offers no synthetic data", async () => {
  const cwd = newFolder(temporary);
  const row = (i: number) => ({ a: i % 7, b: (i * 3) % 11, label: i % 2 ? "x" : "y" });
  const table = (names: ("a" | "b" | "label")[]) =>
    [names.join(","), ...Array.from({ length: 60 }, (_, i) => names.map((name) => row(i)[name]).join(","))].join("\n");
  writeFileSync(join(cwd, "ab.csv"), table(["a", "b", "label"]));
  writeFileSync(join(cwd, "ba.csv"), table(["b", "a", "label"]));
  const run = (data: string, out: string, ...more: string[]) => [
    "train-teacher",
    "--data",
    data,
    ...SMALL_TEACHER,
    "--epochs",
    "1",
    "--no-report",
    "--quiet",
    "--out",
    out,
    ...more,
  ];
  await succeed(run("ab.csv", "a"), cwd);
  const from = ["--from", "a/teacher.safetensors"];
  expect(await refused(run("ba.csv", "b", ...from), cwd, 1, "BAD_DATA")).toContain(
    "a/teacher.safetensors: was trained with the columns in another order than ba",
  );
  await succeed(run("ab.csv", "c", ...from), cwd);
  for (const command of ["compare", "sweep"])
    expect(await succeed([command, "--help"], cwd)).not.toContain("synthetic");
});

test("--from starts from the weights of a file, which config.json says", async () => {
  const cwd = newFolder(temporary);
  const run = (...more: string[]) => ["distill", ...SMALL, "--epochs", "1", "--no-report", "--quiet", ...more];
  await succeed(run("--out", "a"), cwd);
  await succeed(run("--out", "b", "--from", `a/${STUDENT}.pth`), cwd);
  const config = (out: string) => JSON.parse(readFileSync(join(cwd, out, "config.json"), "utf8"));
  const state = await load(join(cwd, "a", `${STUDENT}.pth`));
  expect(config("b").modelHash).toBe(fingerprint(state));
  expect(config("b").userOptions).toMatchObject({ from: `a/${STUDENT}.pth` });
  const misfit = run("--out", "c", "--from", fixture("found/plain.pth"));
  expect(await refused(misfit, cwd, 1, "STATE_DICT_MISMATCH")).toContain("--from: ");
});
