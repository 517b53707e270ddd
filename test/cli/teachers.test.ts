import { cpSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { expect, test } from "vitest";
import { createNetwork, IntTensor, save, saveOnnx, Tensor } from "../../src/index.js";
import { npy } from "../data/numpy_support.js";
import { temporaryFolder } from "../support.js";
import { commandsOf, documentation } from "./documented_commands.js";
import { ended, imageFolder, launch, lines, refused, succeed, userFolder } from "./support.js";

const folder = temporaryFolder();
const section = documentation("docs/guide.md", "Teachers from elsewhere");
/** The module that the section shows. */
const teacherModule = /```js\n(.*?)```/s.exec(section)?.[1] ?? "";
/** The commands of the guide's section on teachers from elsewhere, as they are written there. */
const commands = commandsOf(section).flat();

/** A user's folder with the guide's table of 90 flowers, and logits that know them. */
function flowers(rows = 90): string {
  const cwd = userFolder(folder);
  renameSync(join(cwd, "rows.csv"), join(cwd, "flowers.csv"));
  // Red, green, blue in the file; the classes are in the order of their names.
  const logits = Float32Array.from({ length: 3 * rows }, (_, i) => (i % 3 === 2 - (Math.floor(i / 3) % 3) ? 4 : 0));
  writeFileSync(join(cwd, "logits.npy"), npy([rows, 3], logits));
  writeFileSync(join(cwd, "teacher.mjs"), teacherModule);
  const lines = readFileSync(join(cwd, "flowers.csv"), "utf8").split("\n");
  const scored = lines.map(
    (line, i) => `${i === 0 ? "scores" : [...logits.subarray(3 * i - 3, 3 * i)].join(" ")},${line}`,
  );
  writeFileSync(join(cwd, "scored.csv"), scored.join("\n"));
  return cwd;
}

/** The two most probable classes of each flower, networks of another program, and images of three classes. */
async function fromElsewhere(cwd: string): Promise<void> {
  const ids = Int32Array.from({ length: 180 }, (_, i) => (2 - (Math.floor(i / 2) % 3) + (i % 2)) % 3);
  const logprobs = Float32Array.from(ids, (_, i) => Math.log(i % 2 === 0 ? 0.9 : 0.07));
  const shape = [90, 2];
  await save({ ids: new IntTensor(ids, shape), logprobs: new Tensor(logprobs, shape) }, join(cwd, "top2.safetensors"));
  await saveOnnx(createNetwork("mlp(hidden=[4])", { shape: [2], classes: 3 }), join(cwd, "raw.onnx"));
  await saveOnnx(createNetwork("resnet8", { shape: [1, 8, 8], classes: 3 }), join(cwd, "images.onnx"));
  cpSync(imageFolder(), join(cwd, "images"), { recursive: true });
}

test("the guide's commands on teachers from elsewhere do what they say", async () => {
  const cwd = flowers();
  await fromElsewhere(cwd);
  expect(commands.length).toBeGreaterThan(0);
  for (const command of commands) {
    const trains = ["distill", "train-teacher"].includes(command[0]);
    await succeed([...command, ...(trains ? ["--threads", "1", "--no-report"] : [])], cwd);
  }
  const records = readFileSync(join(cwd, "runs/distill/metrics.jsonl"), "utf8").trim().split("\n");
  expect(JSON.parse(records.at(-1) ?? "")).toMatchObject({ epoch: 3, agreement: expect.any(Number) });
  const configOf = (run: string) => JSON.parse(readFileSync(join(cwd, "runs", run, "config.json"), "utf8"));
  expect(configOf("top2").loss).toMatchObject({ name: "top-k-kd", k: 2 });
  for (const run of ["raw", "resized"]) expect(configOf(run).teacher).toBe("onnx");
  for (const run of ["top2", "raw"]) expect(configOf(run)).not.toHaveProperty("teacherNetwork");
});

test("logits that do not fit the data are refused in one line, and nothing is written", async () => {
  const cwd = flowers(89);
  const args = ["distill", "--data", "flowers.csv", "--teacher", "logits.npy"];
  expect(await refused(args, cwd, 1, "BAD_ARGUMENT")).toBe(
    "logits.npy: expected a row for each of the 90 samples of flowers, 65 of them to train on, got 89: row 89 is missing (BAD_ARGUMENT)",
  );
  expect(await refused([...args, "--teacher-mode", "eval"], cwd, 2, "BAD_ARGUMENT")).toMatch(
    /^--teacher-mode: needs a network of Distillery's as the teacher, got --teacher logits\.npy/,
  );
  expect(await refused([...args, "--teacher-classes", "red,green,blue"], cwd, 1, "BAD_ARGUMENT")).toMatch(
    /column 0 is|row 89/,
  );
  expect(await refused(["logits", ...args.slice(1), "--out", "l.txt"], cwd, 2, "BAD_ARGUMENT")).toMatch(
    /^--out: expected a name that ends in \.npy or \.npz or \.safetensors, got "l\.txt"/,
  );
  expect(await refused([...args, "--augment", "noise=0.1"], cwd, 2, "BAD_ARGUMENT")).toMatch(
    /^--teacher: logits\.npy: the data are augmented at random/,
  );
  expect(existsSync(join(cwd, "runs"))).toBe(false);
  const asking = [
    "distill",
    "--data",
    "flowers.csv",
    "--teacher",
    "teacher.mjs",
    "--augment",
    "noise=0.1",
    "--epochs",
    "1",
  ];
  expect(await refused(asking, cwd, 2, "BAD_ARGUMENT")).toMatch(/^--teacher: ask: the data are augmented at random/);
  await succeed([...asking, "--no-teacher-answers", "--no-report"], cwd);
});

test("what a function answered survives kill -9: it is never asked twice", async () => {
  const cwd = flowers();
  const slow = `import { appendFileSync, existsSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
let calls = 0;
export default async ({ samples, indices }) => {
  for (calls++; calls > 14 && !existsSync("go_on"); ) await setTimeout(5);
  for (const index of indices) appendFileSync("asked.txt", index + "\\n");
  return new Float32Array(3 * samples.length);
};
`;
  writeFileSync(join(cwd, "slow.mjs"), slow);
  const asked = () => (existsSync(join(cwd, "asked.txt")) ? lines(readFileSync(join(cwd, "asked.txt"), "utf8")) : []);
  const options = [
    "--epochs",
    "1",
    "--threads",
    "1",
    "--no-report",
    "--teacher-batch",
    "1",
    "--teacher-concurrency",
    "2",
  ];
  const args = ["distill", "--data", "flowers.csv", "--teacher", "slow.mjs", ...options];
  const child = launch(args, cwd);
  const killed = ended(child);
  while (asked().length < 12) await setTimeout(10);
  child.kill("SIGKILL");
  await killed;
  const before = asked().length;
  writeFileSync(join(cwd, "go_on"), "");
  const { code, stderr } = await ended(launch(args, cwd));
  expect(code, stderr).toBe(0);
  const kept = Number(/teacher: (\d+) of 65 answers are in/.exec(stderr)?.[1]);
  // Those in flight when it was killed are asked for again: no answer had come.
  expect(kept).toBeGreaterThanOrEqual(before - 2);
  expect(asked().length - before).toBe(65 - kept);
});

test("a module that is no teacher, options of another kind", async () => {
  const cwd = flowers();
  writeFileSync(join(cwd, "none.mjs"), "export default 3;");
  const of = (...args: string[]) => ["distill", "--data", "flowers.csv", ...args];
  expect(await refused(of("--teacher", "none.mjs"), cwd, 1, "BAD_ARGUMENT")).toBe(
    "none.mjs: expected it to export a function or a Teacher, got 3 (BAD_ARGUMENT)",
  );
  expect(await refused(of("--teacher", "logits.npy", "--teacher-retries", "3"), cwd, 2, "BAD_ARGUMENT")).toBe(
    "--teacher-retries: is an option of a module, and logits.npy is a file of logits (BAD_ARGUMENT)",
  );
  expect(await refused(of("--teacher-column", "nix"), cwd, 2, "BAD_ARGUMENT")).toBe(
    '--teacher-column: expected a column of flowers.csv, "width", "height", "label", or its index from 0, got "nix" (BAD_ARGUMENT)',
  );
  expect(await refused(of("--teacher-column", "width", "--teacher-mode", "eval"), cwd, 2, "BAD_ARGUMENT")).toBe(
    "--teacher-mode: needs a network of Distillery's as the teacher, got --teacher-column width (BAD_ARGUMENT)",
  );
  const augmented = "the data are augmented at random, and its logits are those of the samples as they are";
  const scored = ["distill", "--data", "scored.csv", "--teacher-column", "scores", "--augment", "noise=0.1"];
  expect(await refused(scored, cwd, 2, "BAD_ARGUMENT")).toBe(
    `--teacher-column: scored.csv: "scores": ${augmented}: leave the augmentation out (BAD_ARGUMENT)`,
  );
  writeFileSync(join(cwd, "short.mjs"), "export default ({ samples }) => new Float32Array(samples.length);");
  expect(await refused(of("--teacher", "./short.mjs"), cwd, 2, "BAD_ARGUMENT")).toBe(
    "--teacher: samples 0 to 63: expected 64 x 3 = 192 numbers, got 64 (BAD_ARGUMENT)",
  );
  const compared = ["compare", "--data", "flowers.csv"];
  expect(await refused([...compared, "--teacher", "./short.mjs"], cwd, 2, "BAD_ARGUMENT")).toMatch(
    "--teacher: samples 0 to 63: expected 64 x 3 = 192 numbers, got 64",
  );
  expect(
    await refused([...compared, "--teacher", "logits.npy", "--average", "logits"], cwd, 2, "BAD_ARGUMENT"),
  ).toMatch("--average: needs two teachers or more, got 1");
  expect(existsSync(join(cwd, "runs"))).toBe(false);
});
