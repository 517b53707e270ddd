import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { temporaryFolder } from "../support.js";
import { bytes, jsonLines, refused, succeed, userFolder } from "./support.js";

const temporary = temporaryFolder();
let cwd: string;
beforeAll(() => {
  cwd = userFolder(temporary);
});

const COMMON = [
  "--data",
  "rows.csv",
  "--teacher-network",
  "mlp([8])",
  "--batch-size",
  "20",
  "--lr",
  "0.1",
  "--no-report",
];
const train = (out: string, ...more: string[]) => ["train-teacher", ...COMMON, "--epochs", "4", "--out", out, ...more];
const rates = (out: string) =>
  jsonLines(readFileSync(join(cwd, out, "metrics.jsonl"), "utf8")).map(({ lr }) => Number((lr as number).toFixed(8)));
const teacher = (out: string) => bytes(cwd, out, "teacher.safetensors");

test("--optimizer and --schedule take expressions, which a configuration file writes by their parts", async () => {
  const schedule = "multi-step(milestones=[2, 3], gamma=0.5)";
  await succeed(train("flags", "--optimizer", "sgd(momentum=0.9)", "--schedule", schedule), cwd);
  expect(rates("flags")).toEqual([0.1, 0.05, 0.025, 0.025]);
  writeFileSync(
    join(cwd, "run.yaml"),
    "optimizer: { name: sgd, momentum: 0.9 }\nschedule:\n  name: multi-step\n  milestones: [2, 3]\n  gamma: 0.5\n",
  );
  await succeed(train("file", "--config", "run.yaml"), cwd);
  expect(teacher("file")).toBe(teacher("flags"));
  await succeed(train("adam", "--optimizer", "adam", "--schedule", schedule), cwd);
  expect(teacher("adam")).not.toBe(teacher("flags"));
});

test("--max-grad-norm none does not clip", async () => {
  writeFileSync(join(cwd, "clipped.yaml"), "maxGradNorm: 0.01\nema: 0.5\n");
  const unclipped = ["--max-grad-norm", "none", "--ema", "none"];
  await succeed(train("unclipped", "--config", "clipped.yaml", ...unclipped), cwd);
  await succeed(train("wide", "--max-grad-norm", "1e9"), cwd);
  expect(teacher("unclipped")).toBe(teacher("wide"));
  expect(JSON.parse(readFileSync(join(cwd, "unclipped", "config.json"), "utf8"))).toMatchObject({ maxGradNorm: null });
});

test("--accumulate and --ema change what is trained and written", async () => {
  await succeed(train("plain"), cwd);
  await succeed(train("accumulated", "--accumulate", "2"), cwd);
  await succeed(train("averaged", "--ema", "0.9"), cwd);
  expect(new Set(["plain", "accumulated", "averaged"].map(teacher)).size).toBe(3);
  await succeed([...train("averaged", "--ema", "0.9"), "--resume"], cwd);
});

test.each([
  ["--optimizer", "sdg", '--optimizer: unknown optimizer "sdg"'],
  ["--optimizer", "sgd(momentm=1)", "--optimizer: sgd: momentm: unknown argument, did you mean momentum?"],
  ["--schedule", "multi-step", "--schedule: multi-step: milestones: needed"],
  ["--schedule", "multi-step(milestones=[", "--schedule: expected a value at character 24, got the end"],
  ["--accumulate", "0", "--accumulate: expected a whole number of at least 1, got 0"],
  ["--ema", "1", "--ema: expected a number from 0 to below 1, got 1"],
])("%s %s is refused", async (flag, text, message) => {
  const line = await refused(train("none", flag, text), cwd, 2, "BAD_ARGUMENT");
  expect(line.startsWith(message), line).toBe(true);
});
