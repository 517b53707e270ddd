import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { commitOf, lock } from "../../bench/against/checkout.js";
import { workloadsOf } from "../../bench/against/workloads.js";
import { TITLES } from "../../bench/steps/setup.js";
import { temporaryFolder } from "../support.js";

const folder = temporaryFolder();

const isCheckout = (() => {
  try {
    execFileSync("git", ["rev-parse", "HEAD"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

describe("a comparison with another commit", () => {
  it.skipIf(!isCheckout)("takes whatever names one", () => {
    expect(commitOf("HEAD")).toMatch(/^[0-9a-f]{7,}$/);
  });

  it.each(["no-such-branch", "--help", "HEAD:package.json"])("refuses %s in one line", (ref) => {
    expect(() => commitOf(ref)).toThrow(
      `--against: expected a commit, a branch or a tag of this repository, got ${JSON.stringify(ref)}`,
    );
  });

  it("waits for no other one, but takes over from a process that ended", () => {
    const file = join(folder, "lock");
    const unlock = lock(folder);
    expect(readFileSync(file, "utf8")).toBe(`${process.pid}`);
    expect(() => lock(folder)).toThrow(`--against: process ${process.pid} measures already: wait for its end`);
    unlock();
    expect(existsSync(file)).toBe(false);
    writeFileSync(file, `${2 ** 22 + 1}`);
    lock(folder)();
    expect(existsSync(file)).toBe(false);
  });

  it("compares steps, convolutions and few samples", async () => {
    expect([...(await workloadsOf("steps")).keys()]).toEqual(Object.values(TITLES));
    expect([...(await workloadsOf("convolution")).keys()]).toContain("step of resnet20");
    const run = await (await workloadsOf("inference")).get("predict(), student, batch 1")?.();
    expect(await run?.epoch(2)).toBeGreaterThan(0);
  });
});
