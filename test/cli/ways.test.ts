import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../checkpoint/support.js";
import { refused, succeed, userFolder } from "./support.js";

const temporary = temporaryFolder();
let cwd: string;

const guide = readFileSync(new URL("../../docs/guide.md", import.meta.url), "utf8");
/** The commands of a section of the guide, as arguments. */
function commandsOf(section: string): string[][] {
  const text = guide.split(/^#{2,3} /m).find((part) => part.startsWith(`${section}\n`)) ?? "";
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block]) => block.replaceAll("\\\n", " "));
  return blocks.flatMap((block) =>
    block
      .trim()
      .split("\n")
      .map((line) => [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain))
      .map(([npx, name, ...args]) => {
        expect([npx, name]).toEqual(["npx", "distillery"]);
        return args;
      }),
  );
}

async function runSection(section: string): Promise<string> {
  const commands = commandsOf(section);
  expect(commands.length).toBeGreaterThan(0);
  let last = "";
  for (const command of commands) last = await succeed(command, cwd);
  return last;
}
const configOf = (...out: string[]) => JSON.parse(readFileSync(join(cwd, ...out, "config.json"), "utf8"));

beforeAll(() => {
  cwd = userFolder(temporary);
  copyFileSync(join(cwd, "rows.csv"), join(cwd, "flowers.csv"));
});

describe("several teachers", () => {
  const two = ["--teacher", "runs/a/teacher.safetensors", "--teacher", "runs/b/teacher.safetensors"];
  const common = ["--data", "flowers.csv", "--epochs", "2"];

  test("the guide's commands", async () => {
    expect(await runSection("Several teachers")).toMatch(/Test accuracy: student .*, teacher .*, agreement /);
    expect(configOf("runs", "averaged")).toMatchObject({
      teacherNetwork: expect.stringContaining("hidden=[64]"),
      average: "probabilities",
      teacherWeights: [2, 1],
      userOptions: { teacher: ["runs/a/teacher_best.safetensors", "runs/b/teacher_best.safetensors"] },
    });
  });

  test("the configuration of the run, as a file, repeats it; other weights do not resume it", async () => {
    const again = ["distill", "--config", "runs/averaged/config.json", "--out", "again", "--no-report"];
    await succeed(again, cwd);
    expect(configOf("again")).toEqual(configOf("runs", "averaged"));
    const other = await refused([...again, "--resume", "--teacher-weights", "1,1"], cwd, 1, "BAD_CONFIG");
    expect(other).toMatch(/teacherWeights was \[2,1\], is \[1,1\]/);
  });

  test("compare trains students with the average, in processes", async () => {
    const compare = ["compare", ...common, ...two, "--seeds", "2", "--teacher-confidence", "--no-report"];
    expect(await succeed([...compare, "--out", "compared"], cwd)).toMatch(/agreement with the teacher/);
  });

  test.each<[string, string[], RegExp]>([
    [
      "an average of one",
      ["--teacher", "runs/a/teacher.safetensors", "--average", "logits"],
      /^--average: is for several teachers, got 1/,
    ],
    [
      "weights of another number",
      [...two, "--teacher-weights", "1,2,3"],
      /^--teacher-weights: expected 2 numbers, .* got 3/,
    ],
    ["a weight of 0", [...two, "--teacher-weights", "1,0"], /^--teacher-weights .*above 0, got 0/],
    ["another average", [...two, "--average", "mean"], /^--average: expected "logits" or "probabilities", got "mean"/],
  ])("refused: %s", async (_, args, message) => {
    expect(await refused(["distill", ...common, ...args, "--out", "refused"], cwd, 2, "BAD_ARGUMENT")).toMatch(message);
  });
});
