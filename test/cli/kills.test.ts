import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support.js";
import { bytes, ended, jsonLines, launch, newFolder, STUDENT, succeed } from "./support.js";

const temporary = temporaryFolder();
/** A kill a run, at moments spread over it: `KILLS=200` is the recorded trial. */
const KILLS = Number(process.env.KILLS ?? 3);
const ARGS = ["distill", "--epochs", "6", "--checkpoint-every", "5steps", "--out", "run"];

test(`killed ${KILLS} times and resumed, a run ends as one that was not`, {
  timeout: 60_000 * KILLS + 300_000,
}, async () => {
  const whole = newFolder(temporary);
  const start = performance.now();
  await succeed(ARGS, whole);
  const length = performance.now() - start;
  const expectWhole = (cwd: string) => {
    for (const extension of ["pth", "safetensors"]) {
      expect(bytes(cwd, "run", `${STUDENT}.${extension}`)).toBe(bytes(whole, "run", `${STUDENT}.${extension}`));
    }
    const metrics = jsonLines(readFileSync(join(cwd, "run", "metrics.jsonl"), "utf8"));
    expect(metrics.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5, 6]);
  };
  let cwd = newFolder(temporary);
  for (let i = 0, killed = 0; killed < KILLS; i++) {
    const child = launch([...ARGS, "--resume"], cwd);
    const timer = setTimeout(() => child.kill("SIGKILL"), length * moment(i));
    const { code, stderr } = await ended(child);
    clearTimeout(timer);
    if (child.signalCode === "SIGKILL") killed++;
    else {
      // It came to its end before the kill: another run.
      expect(code, stderr).toBe(0);
      expectWhole(cwd);
      cwd = newFolder(temporary);
    }
  }
  await succeed([...ARGS, "--resume"], cwd);
  expectWhole(cwd);
});

/** Seeded moments of the run, as shares of its length. */
function moment(i: number): number {
  return 0.15 + 0.8 * ((i * 0.618_034) % 1);
}
