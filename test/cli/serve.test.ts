import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { manualSeed, StudentNet, save } from "../../src/index.js";
import { temporaryFolder } from "../checkpoint/support.js";
import { ended, launch, newFolder, refused } from "./support.js";

const temporary = temporaryFolder();
let cwd: string;

beforeAll(async () => {
  cwd = newFolder(temporary);
  manualSeed(0);
  await save(new StudentNet({ inFeatures: 3, hidden: [4, 3], classes: 2 }).stateDict(), join(cwd, "student.pth"));
});

test.each(["SIGTERM", "SIGINT"] as const)("serve answers until %s, and ends cleanly", async (signal) => {
  const child = launch(["serve", "student.pth", "--port", "0", "--json"], cwd);
  const end = ended(child);
  const line = await new Promise<string>((resolve) => child.stdout?.once("data", (part) => resolve(String(part))));
  const { event, file, url } = JSON.parse(line) as Record<string, string>;
  expect([event, file]).toEqual(["serving", "student.pth"]);
  const response = await fetch(`${url}predict`, { method: "POST", body: "[[1, 2, 3]]" });
  expect([response.status, await response.json()]).toEqual([
    200,
    { predictions: [expect.objectContaining({ class: expect.any(Number) })] },
  ]);
  child.kill(signal);
  const { code, stderr } = await end;
  expect([code, stderr.split("\n").slice(1)]).toEqual([0, ["answering what came; once more stops at once", ""]]);
});

test("serve refuses a bad port, limits, and files that are none", async () => {
  expect(await refused(["serve", "student.pth", "--port", "70000"], cwd, 2, "BAD_ARGUMENT")).toContain("port");
  expect(await refused(["serve", "student.pth", "--max-body", "0"], cwd, 2, "BAD_ARGUMENT")).toContain("--max-body");
  expect(await refused(["serve", "nothing.pth"], cwd, 1, "NOT_FOUND")).toContain("nothing.pth: no such file");
});
