import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeAll, expect, test, vi } from "vitest";
import { temporaryFolder } from "../support.js";
import { freeHost } from "./command_host.js";
import { bytes, distillery, ended, launch, newFolder, succeed, tree, userFolder } from "./support.js";

const temporary = temporaryFolder();
let cwd: string;
const TRAIN = "train-teacher --teacher-network mlp(hidden=[8]) --data rows.csv --epochs 2 --no-report".split(" ");

/** Without times, and what a dry run says of the process's memory. */
const untimed = (text: string) =>
  text
    .replaceAll(/\d+(\.\d+)? ?m?s\b/g, "TIME")
    // Node.js shows the line of what nobody caught, and its version.
    .replaceAll(/^file:.*\n.*\n *\^\n\n|\nNode\.js v.*\n/gm, "")
    .replaceAll(/^( *throughput) .*$/gm, "$1")
    .replaceAll(/^( *Memory, about: | *Node\.js and the code +).*$/gm, "$1MEMORY")
    // Columns are as wide as the times in them.
    .replaceAll(/ {2,}/g, "  ");

beforeAll(async () => {
  cwd = userFolder(temporary);
  await succeed([...TRAIN, "--out", "teacher"], cwd);
});

test.each([
  "--version",
  "distil",
  "inspect missing.pth",
  "evaluate --student teacher/teacher.safetensors --data rows.csv",
  "distill --data rows.csv --teacher teacher/teacher.safetensors --epochs 1 --dry-run",
])("%s: what it prints, and its exit code, are those of a process of its own", async (command) => {
  const args = command.split(" ");
  const [own, hosted] = [await ended(launch(args, cwd)), await distillery(args, cwd)];
  const { code, stdout, stderr, opening } = own;
  expect({ ...hosted, stdout: untimed(hosted.stdout), stderr: untimed(hosted.stderr) }).toEqual({
    code,
    opening,
    stdout: untimed(stdout),
    stderr: untimed(stderr),
  });
});

test.each([
  [
    "compare",
    "--data rows.csv --epochs 1 --seeds 2 --parallel 1 --no-report --teacher-network mlp(hidden=[8]) --student mlp(hidden=[4])",
  ],
  ["logits", "--data rows.csv --teacher teacher/teacher.safetensors"],
  ["train-teacher", "--teacher-network mlp(hidden=[8]) --data rows.csv --epochs 1 --no-report --precision bf16"],
  [
    "distill",
    "--data rows.csv --teacher teacher/teacher.safetensors --student mlp(hidden=[4]) --epochs 1 --loss ./rejects.mjs --no-report",
  ],
  ["export", "teacher/teacher.safetensors"],
])("%s %s: what it says, and its files, are those of a process of its own", async (command, options) => {
  const late = 'void Promise.reject(new RangeError("of my own"))';
  const loss = `export default () => ({ name: "r", needsTeacher: false, config: () => ({ name: "r" }), compute({ student }) { ${late}; return { loss: student.logits.mean(), metrics: {} }; } });\n`;
  writeFileSync(join(cwd, "rejects.mjs"), loss);
  const [own, hosted] = [newFolder(temporary), newFolder(temporary)];
  const args = (folder: string) => [
    command,
    ...options.split(" "),
    command === "export" ? "--js" : "--out",
    join(folder, { export: "run.mjs", logits: "run.safetensors" }[command] ?? "run"),
  ];
  const [alone, kept] = [await ended(launch(args(own), cwd)), await distillery(args(hosted), cwd)];
  const said = ({ stdout, stderr }: typeof alone, folder: string) =>
    untimed(stdout + stderr).replaceAll(folder, "FOLDER");
  expect(kept.code).toBe(alone.code);
  if (options.includes("rejects")) expect(kept.stderr).toMatch(/^RangeError: of my own$/m);
  expect(said(kept, hosted)).toBe(said(alone, own));
  expect(tree(hosted)).toEqual(tree(own));
});

test("a command that leaves its process open fails, and so does the one after a late failure", async () => {
  const train = async (name: string, text: string) => {
    writeFileSync(join(cwd, name), `${text};\nexport default 1;\n`);
    const options = "--data rows.csv --teacher teacher/teacher.safetensors --student mlp(hidden=[4]) --loss";
    return distillery(["distill", ...options.split(" "), `./${name}`], cwd);
  };
  await expect(train("open.mjs", "setInterval(() => {}, 1000)")).rejects.toThrow(
    "the command leaves its process open: Timeout",
  );
  const now = join(cwd, "now");
  const late = `setInterval(() => { if (existsSync(${JSON.stringify(now)})) throw new Error("of my own"); }, 10).unref()`;
  expect((await train("late.mjs", `import { existsSync } from "node:fs";\n${late}`)).code).toBe(2);
  const host = freeHost(["list"], cwd);
  writeFileSync(now, "");
  await vi.waitFor(() => expect(host?.hasEnded).toBe(true), 60_000);
  await expect(distillery(["list"], cwd)).rejects.toThrow(/after the command before: .*of my own/);
  expect((await distillery(["list"], cwd)).code).toBe(0);
});

test("a run after others has the bits of one in a process of its own", async () => {
  await distillery(["distill", "--epochs", "0"], cwd);
  const distill =
    "distill --data rows.csv --teacher teacher/teacher.safetensors --student mlp(hidden=[4]) --seed 3".split(" ");
  for (const [args, name] of [
    [TRAIN, "trained"],
    [[...distill, "--epochs", "2"], "distilled"],
  ] as const) {
    const [own, hosted] = ["own", "hosted"].map((kind) => `${name}-${kind}`) as [string, string];
    // By default a run that takes longer than a second keeps one checkpoint more.
    const command = [...args, "--checkpoint-every", "1", "--out"];
    const { code, stderr } = await ended(launch([...command, own], cwd));
    expect(code, stderr).toBe(0);
    await succeed([...command, hosted], cwd);
    expect(tree(join(cwd, hosted))).toEqual(tree(join(cwd, own)));
    const weights = tree(join(cwd, own)).filter((file) => /^(?!checkpoint).*\.(pth|safetensors)$/.test(file));
    expect(weights.length).toBeGreaterThan(0);
    for (const file of weights) expect(bytes(cwd, hosted, file)).toBe(bytes(cwd, own, file));
  }
});

test("one that runs meanwhile, another environment and a module that changed have a process of their own", async () => {
  const folder = newFolder(temporary);
  const first = freeHost([], folder);
  const running = first?.run(["list"], folder);
  expect(freeHost([], folder)).toBeNull();
  await running;
  expect(freeHost([], folder)).toBe(first);
  vi.stubEnv("DISTILLERY_THREADS", "1");
  const second = freeHost([], folder);
  expect(second).not.toBe(first);
  writeFileSync(join(folder, "mine.mjs"), "export default 1;\n");
  await second?.run(["list"], folder);
  mkdirSync(join(folder, "below"));
  writeFileSync(join(folder, "below", "mine.ts"), "export default 1;\n");
  expect(freeHost([], folder)).toBe(second);
  writeFileSync(join(folder, "mine.mjs"), `export default ${"2".repeat(9)};\n`);
  expect(freeHost([], folder)).not.toBe(second);
  expect(readFileSync(join(folder, "mine.mjs"), "utf8")).toContain("222");
  const other = newFolder(temporary);
  const named = ["distill", "--loss", `kd + ../${basename(other)}/loss.mjs(scale=2)`];
  writeFileSync(join(other, "loss.mjs"), "export default 1;\n");
  const third = freeHost(named, folder);
  await third?.run([...named, "--dry-run"], folder);
  expect(freeHost(named, folder)).toBe(third);
  writeFileSync(join(other, "loss.mjs"), `export default ${"2".repeat(9)};\n`);
  expect(freeHost(["list"], folder)).toBe(third);
  expect(freeHost(named, folder)).not.toBe(third);
  vi.unstubAllEnvs();
});
