import { setNumThreads } from "distillery";
import { beforeAll, describe, expect, it } from "vitest";
import type { Case } from "../../bench/cases/case.js";
import { QUICK } from "../../bench/extent.js";
import { latency, prediction } from "../../bench/inference.js";
import { GROUPS, measureKernels } from "../../bench/kernels.js";
import { conditions, measureLimits } from "../../bench/machine.js";
import { profileStep } from "../../bench/profile.js";
import type { Row } from "../../bench/results.js";
import { measureScaling } from "../../bench/steps/measure.js";
import { LIMITS } from "./sample.js";

const BUDGET = { milliseconds: 1, leastRuns: 1 };

beforeAll(() => setNumThreads(2));

/** Throws where a value would be lost on its way to a file: NaN, infinity, undefined. */
function expectKeptByJson(value: unknown): void {
  expect(JSON.parse(JSON.stringify(value))).toStrictEqual(value);
}

describe("what the benchmark measures", () => {
  it("is reported with the machine, the threads, the commit and the versions", () => {
    const about = conditions();
    expectKeptByJson(about);
    expect(about.threads).toBe(2);
    expect(about.versions.node).toBe(process.version);
    expect(about.versions.distillery).toMatch(/^\d+\.\d+\.\d+/);
    expect(about.machine.cores).toBeGreaterThan(0);
    expect(about).toHaveProperty("commit");
    expect(about.versions).toHaveProperty("rustc");
  });

  it("begins with the limits of one thread and of all", () => {
    const limits = measureLimits(1, BUDGET);
    expectKeptByJson(limits);
    expect([limits.one.threads, limits.all.threads]).toEqual([1, 2]);
    for (const { gflops, bandwidths } of [limits.one, limits.all]) {
      expect(gflops).toBeGreaterThan(0);
      for (const { gigabytesPerSecond } of bandwidths) expect(gigabytesPerSecond).toBeGreaterThan(0);
    }
  });

  it("has rows of kernels, each with a name of its own, whose figures follow from its times", () => {
    const names: string[] = [];
    // Large ones take plain TypeScript half a second a call.
    const small = (cases: () => Iterable<Case>) => () => {
      const all = [...cases()];
      names.push(...all.map(({ name }) => name));
      return all.filter(({ work }) => work.flops < 2e7);
    };
    const rows: Row[] = [
      ...measureKernels(BUDGET, LIMITS, {
        products: small(GROUPS.products),
        layers: small(GROUPS.layers),
        "random stream": small(GROUPS["random stream"]),
        "losses and optimizer": small(GROUPS["losses and optimizer"]),
      }),
    ];
    expectKeptByJson(rows);
    expect(new Set(names).size).toBe(names.length);
    expect([...new Set(rows.map(({ group }) => group))]).toEqual([
      "products",
      "layers",
      "random stream",
      "losses and optimizer",
    ]);
    for (const { oneThreadMs, allThreadsMs, plainMs, speedUp, ratio, work, share } of rows) {
      expect(speedUp).toBe(oneThreadMs / allThreadsMs);
      expect(ratio).toBe(plainMs / allThreadsMs);
      expect(share === null).toBe(work.unit === "draws");
    }
  });

  it("says by kernel where a step's time goes", async () => {
    const { entries, stepMs } = await profileStep("cached", 1);
    expectKeptByJson(entries);
    const total = entries.reduce((sum, { ms }) => sum + ms, 0);
    expect(total).toBeCloseTo(stepMs, 6);
    expect(entries.find(({ kernel }) => kernel === "adamStep")?.calls).toBe(1);
    expect(entries.at(-1)?.kernel).toBe("around the kernels");
  });

  it("says how long single calls take", () => {
    const { p50, p99 } = latency(prediction("student", 1), 5);
    expect(p50).toBeGreaterThan(0);
    expect(p99).toBeGreaterThanOrEqual(p50);
  });

  it("goes over batches and widths", async () => {
    const extent = { ...QUICK, batches: [256, 512], widths: [0.125], rounds: 1, turnMs: 1 };
    const scaling = await measureScaling(extent, LIMITS);
    expectKeptByJson(scaling);
    expect(scaling.overBatch.map(({ rows }) => rows)).toEqual([256, 512]);
    expect(scaling.overWidth.map(({ width }) => width)).toEqual([0.125]);
    const [small, large] = scaling.overBatch;
    expect(large?.flops).toBe(2 * (small?.flops ?? 0));
  });
});
