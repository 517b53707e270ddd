import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { commitOf, lock, removeCheckout } from "../../bench/against/checkout.js";
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
    const message = `--against: expected a commit, a branch or a tag of this repository, got ${JSON.stringify(ref)}`;
    expect(() => commitOf(ref)).toThrow(expect.objectContaining({ message, exitCode: 2 }));
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

  it.skipIf(!isCheckout)(
    "removes its own checkout and leaves what git keeps of others, whose folders may be away",
    () => {
      const repository = join(realpathSync(folder), "repository");
      const [own, others] = ["own", "others"].map((name) => join(realpathSync(folder), name));
      mkdirSync(repository);
      const git = (...args: string[]) =>
        execFileSync("git", args, { cwd: repository, encoding: "utf8", stdio: "pipe" });
      git("init", "--quiet");
      const author = ["-c", "user.name=a", "-c", "user.email=a@b"];
      git(...author, "commit", "--quiet", "--allow-empty", "--message", "first");
      for (const checkout of [own, others]) git("worktree", "add", "--quiet", "--detach", checkout);
      // A disk that is not mounted just now.
      rmSync(others, { recursive: true });
      git("worktree", "lock", own);
      removeCheckout(own, repository);
      expect(existsSync(own)).toBe(false);
      const known = () => git("worktree", "list", "--porcelain").match(/(?<=^worktree ).*/gm);
      expect(known()).toEqual([repository, others]);
      // One that is not there, and one that a process that was killed left half.
      removeCheckout(own, repository);
      removeCheckout(others, repository);
      expect(known()).toEqual([repository]);
    },
  );

  it("compares steps, convolutions and few samples", async () => {
    expect([...(await workloadsOf("steps")).keys()]).toEqual(Object.values(TITLES));
    expect([...(await workloadsOf("convolution")).keys()]).toContain("step of resnet20");
    const run = await (await workloadsOf("inference")).get("predict(), student, batch 1")?.();
    expect(await run?.epoch(2)).toBeGreaterThan(0);
  });
});
