import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { commitOf } from "../../bench/against/checkout.js";
import { workloadsOf } from "../../bench/against/workloads.js";
import { TITLES } from "../../bench/steps/setup.js";

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

  it("compares steps, convolutions and few samples", async () => {
    expect([...(await workloadsOf("steps")).keys()]).toEqual(Object.values(TITLES));
    expect([...(await workloadsOf("convolution")).keys()]).toContain("step of resnet20");
    const run = await (await workloadsOf("inference")).get("predict(), student, batch 1")?.();
    expect(await run?.epoch(2)).toBeGreaterThan(0);
  });
});
