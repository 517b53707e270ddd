import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../checkpoint/support.js";
import { npy } from "../data/numpy_support.js";
import { refused, succeed, userFolder } from "./support.js";

const folder = temporaryFolder();
const guide = readFileSync(new URL("../../docs/guide.md", import.meta.url), "utf8");

/** The commands of the guide's section on teachers from elsewhere, as they are written there. */
const commands = [
  ...(guide.split("### Teachers from elsewhere")[1]?.split("\n### ")[0] ?? "").matchAll(/```sh\n(.*?)```/gs),
]
  .flatMap(([, block = ""]) => block.replaceAll("\\\n", "").split("\n"))
  .filter((line) => line.startsWith("npx distillery "))
  .map((line) => line.slice("npx distillery ".length).split(/ +/));

/** A user's folder with the guide's table of 90 flowers, and logits that know them. */
function flowers(rows = 90): string {
  const cwd = userFolder(folder);
  renameSync(join(cwd, "rows.csv"), join(cwd, "flowers.csv"));
  // Red, green, blue in the file; the classes are in the order of their names.
  const logits = Float32Array.from({ length: 3 * rows }, (_, i) => (i % 3 === 2 - (Math.floor(i / 3) % 3) ? 4 : 0));
  writeFileSync(join(cwd, "logits.npy"), npy([rows, 3], logits));
  return cwd;
}

test("the guide's commands on teachers from elsewhere do what they say", async () => {
  const cwd = flowers();
  expect(commands.length).toBeGreaterThan(0);
  for (const command of commands) await succeed([...command, "--threads", "1", "--no-report"], cwd);
  const records = readFileSync(join(cwd, "runs/distill/metrics.jsonl"), "utf8").trim().split("\n");
  expect(JSON.parse(records.at(-1) ?? "")).toMatchObject({ epoch: 3, agreement: expect.any(Number) });
});

test("logits that do not fit the data are refused in one line, and nothing is written", async () => {
  const cwd = flowers(89);
  const args = ["distill", "--data", "flowers.csv", "--teacher", "logits.npy"];
  expect(await refused(args, cwd, 1, "BAD_ARGUMENT")).toBe(
    "logits.npy: expected a row for each of the 90 samples of flowers, 65 of them to train on, got 89: row 89 is missing (BAD_ARGUMENT)",
  );
  expect(await refused([...args, "--teacher-mode", "eval"], cwd, 2, "BAD_ARGUMENT")).toMatch(
    /^--teacher-mode: --teacher logits\.npy is no network of Distillery's, which takes it/,
  );
  expect(await refused([...args, "--teacher-classes", "red,green,blue"], cwd, 1, "BAD_ARGUMENT")).toMatch(
    /column 0 is|row 89/,
  );
  expect(existsSync(join(cwd, "runs"))).toBe(false);
});
