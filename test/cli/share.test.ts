import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { shareOf } from "../../src/cli/share.js";
import { temporaryFolder } from "../support.js";
import { distillery, ended, launch, lines, refused, SMALL, succeed, userFolder } from "./support.js";

const temporary = temporaryFolder();
const array = (id: number, { min = 0, max = 3, step = 1, count = 4 } = {}) => ({
  SLURM_ARRAY_TASK_ID: String(id),
  SLURM_ARRAY_TASK_MIN: String(min),
  SLURM_ARRAY_TASK_MAX: String(max),
  SLURM_ARRAY_TASK_STEP: String(step),
  SLURM_ARRAY_TASK_COUNT: String(count),
});

describe("a process's share is", () => {
  test.each([
    ["none", {}, {}, null],
    ["that of the flags", { index: 1, of: 3 }, array(2), { index: 1, of: 3 }],
    ["that of an array 0-3", {}, array(2), { index: 2, of: 4 }],
    ["that of an array 1-4", {}, array(4, { min: 1, max: 4 }), { index: 3, of: 4 }],
    ["that of an array 10-18:4", {}, array(14, { min: 10, max: 18, step: 4, count: 3 }), { index: 1, of: 3 }],
    [
      "the task itself, where its number is given",
      { of: 10 },
      array(7, { min: 3, max: 7, count: 2 }),
      { index: 7, of: 10 },
    ],
    ["that of an Indexed Job", {}, { JOB_COMPLETION_INDEX: "4", JOB_COMPLETIONS: "5" }, { index: 4, of: 5 }],
    ["that of an Indexed Job, its number given", { of: 6 }, { JOB_COMPLETION_INDEX: "4" }, { index: 4, of: 6 }],
    ["none where all are collected", { collect: true }, array(2), null],
  ])("%s", (_, flags, env, share) => {
    expect(shareOf({ ...flags, quiet: true }, env)).toEqual(share);
  });

  test("a share that the scheduler chose says so, and how to have none", () => {
    const said: string[] = [];
    vi.spyOn(process.stderr, "write").mockImplementation((text) => said.push(String(text)) > 0);
    shareOf({}, array(2));
    shareOf({ quiet: true }, array(2));
    shareOf({ of: 10 }, array(2));
    shareOf({ index: 1, of: 3 }, array(2));
    vi.restoreAllMocks();
    expect(said.join("")).toBe(
      "share 2 of 4, by SLURM_ARRAY_TASK_ID; for all runs here unset that: env -u SLURM_ARRAY_TASK_ID distillery ...\n",
    );
  });

  test.each([
    [{ index: 1 }, {}, "--index: --of is needed with it, the number of shares"],
    [{ of: 3 }, {}, "--of: --index is needed with it: no scheduler tells one"],
    [{ index: 3, of: 3 }, {}, "--index: expected an index from 0 to 2, got 3"],
    [{ index: 0.5, of: 3 }, {}, "--index: expected an index from 0 to 2, got 0.5"],
    [{ index: 0, of: 0 }, {}, "--of: expected a number of shares from 1, got 0"],
    [{ collect: true, of: 3 }, {}, "--of: --collect takes all shares: leave one of the two out"],
    [{}, array(7, { min: 3, max: 7, count: 2 }), /^SLURM_ARRAY_TASK_ID: task 7 is of a list with gaps: give --of/],
    [{}, array(2, { step: 0 }), "SLURM_ARRAY_TASK_STEP: expected a number from 1, got 0"],
    [{ of: 4 }, array(7), "SLURM_ARRAY_TASK_ID: expected an index from 0 to 3, got 7"],
    [{}, { SLURM_ARRAY_TASK_ID: "x" }, 'SLURM_ARRAY_TASK_ID: expected a number, got "x"'],
    [
      {},
      { JOB_COMPLETION_INDEX: "1" },
      /^JOB_COMPLETION_INDEX: Kubernetes does not tell the Job's completions: give --of/,
    ],
  ])("refused: %o with %o", (flags, env, text) => {
    expect(() => shareOf(flags, env)).toThrow(text);
  });
});

const BUDGET = ["--epochs", "1", "--seeds", "2", "--batch-size", "20"];
const ARGS = ["compare", "--data", "rows.csv", ...BUDGET, ...SMALL, "--out", "run"];
const TIMES = new Set(["seconds", "samplesPerSecond", "latencyMs", "throughput", "created"]);
const timeless = (text: string) => JSON.stringify(JSON.parse(text), (key, value) => (TIMES.has(key) ? 0 : value));
const resultOf = (folder: string) => timeless(readFileSync(join(folder, "run", "compare.json"), "utf8"));
/** The page with its data, without times. */
function reportOf(folder: string): string {
  const page = readFileSync(join(folder, "run", "report.html"), "utf8");
  const [, data] = /<script[^>]*type="application\/json"[^>]*>(.*?)<\/script>/s.exec(page) ?? [];
  return page.replace(data, timeless(data));
}

test("two processes and --collect write compare.json and report.html of one", async () => {
  const [whole, cwd] = [userFolder(temporary), userFolder(temporary)];
  await succeed(ARGS, whole);
  const late = launch([...ARGS, "--index", "1", "--of", "2"], cwd);
  const end = ended(late);
  await new Promise<void>((resolve) => {
    let text = "";
    late.stderr?.on("data", (part: Buffer) => {
      text += part.toString();
      if (text.includes("waits for the teacher")) resolve();
    });
    late.on("close", () => resolve());
  });
  const printed = lines(await succeed([...ARGS, "--index", "0", "--of", "2"], cwd));
  expect(printed.at(-1)).toBe(
    "share 0 of 2 (from 0 to 1) is done, 2 runs in run; when all are, the same command with --collect gives the result",
  );
  const { code, stderr } = await end;
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(/^share 1 of 2 waits for the teacher: share 0 /);
  await succeed([...ARGS, "--collect"], cwd);
  expect(resultOf(cwd)).toBe(resultOf(whole));
  expect(reportOf(cwd)).toBe(reportOf(whole));
});

test("--dry-run of a share is of its own runs", async () => {
  const cwd = userFolder(temporary);
  const runs = async (index: number, of: number) => {
    const text = await succeed([...ARGS, "--dry-run", "--json", "--index", `${index}`, "--of", `${of}`], cwd);
    return JSON.parse(text).runs.map(({ name, times }: { name: string; times: number }) => [name, times]);
  };
  expect(await runs(0, 2)).toEqual([
    ["the teacher", 1],
    ["a baseline student", 2],
  ]);
  expect(await runs(1, 2)).toEqual([["a distilled student", 2]]);
});

test("wrong use is told, and SIGUSR1 while it waits is for the scheduler", async () => {
  const cwd = userFolder(temporary);
  expect(await refused([...ARGS, "--of", "2"], cwd, 2, "BAD_ARGUMENT")).toContain("--index is needed");
  expect(await refused([...ARGS, "--index", "0", "--of", "2", "--overwrite"], cwd, 2, "BAD_ARGUMENT")).toContain(
    "--overwrite: a share (--index 0 --of 2) replaces and collects nothing",
  );
  expect((await distillery([...ARGS, "--collect"], cwd)).stderr).toContain("run: no share of it has begun (NOT_FOUND)");
  const child = launch([...ARGS, "--index", "1", "--of", "2"], cwd);
  const end = ended(child);
  child.stderr?.once("data", () => child.kill("SIGUSR1"));
  expect((await end).code).toBe(75);
});
