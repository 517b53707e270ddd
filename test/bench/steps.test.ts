import { afterAll, describe, expect, it } from "vitest";
import { compareLosses, TOLERANCE } from "../../bench/agreement.js";
import { timeKernels } from "../../bench/profile.js";
import { soak } from "../../bench/soak.js";
import { PacedRun } from "../../bench/steps/paced_run.js";
import { plainStep, stepByHand } from "../../bench/steps/reference_steps.js";
import { MODES, type Mode } from "../../bench/steps/setup.js";

const STEPS = 3;
const small = (mode: Mode) => ({ mode, rows: 64, width: 0.125 });
const runs = new Map<Mode, PacedRun>();

async function runOf(mode: Mode): Promise<PacedRun> {
  const run = runs.get(mode) ?? (await PacedRun.start(small(mode)));
  runs.set(mode, run);
  return run;
}

afterAll(async () => {
  for (const run of runs.values()) await run.stop();
});

describe.each(MODES)("a step in mode %s", (mode) => {
  it("has the same losses in plain TypeScript", async () => {
    const step = plainStep(small(mode));
    const losses = Array.from({ length: STEPS }, step);
    compareLosses(mode, (await runOf(mode)).losses, losses);
    expect(losses[0]).not.toBe(losses[1]);
  });

  it("is made an epoch at a time", async () => {
    const run = await runOf(mode);
    expect(run.stepsPerEpoch).toBe(16);
    expect(run.losses).toHaveLength(16);
    expect(await run.epoch(2)).toBeGreaterThan(0);
  });
});

describe("a loop by hand", () => {
  it.each(["train", "eval", "cached"] as const)("has the library's losses, bit for bit, in mode %s", async (mode) => {
    const step = stepByHand(small(mode));
    expect(Array.from({ length: 16 }, step)).toEqual((await runOf(mode)).losses);
  });

  it("is the script's: there is none of the teacher's training", () => {
    expect(() => stepByHand(small("teacher"))).toThrow("expected a mode with a student");
  });
});

it.each(["Sequential", "OwnTeacher"] as const)(
  "a teacher written as a %s gives the same losses",
  async (teacherClass) => {
    const run = await PacedRun.start({ ...small("train"), teacherClass });
    expect(run.losses).toEqual((await runOf("train")).losses);
    await run.stop();
  },
);

describe("losses that are compared", () => {
  it("may lie apart by the tolerance", () => {
    expect(() => compareLosses("peer", [1, 2], [1, 2 + TOLERANCE / 2])).not.toThrow();
    expect(() => compareLosses("peer", [1, 2], [1, 2 + 2 * TOLERANCE])).toThrow("peer, step 2: expected the same loss");
    expect(() => compareLosses("peer", [1], [1, 2])).toThrow("step 2");
    expect(() => compareLosses("peer", [1, Number.NaN], [1, Number.NaN])).toThrow("step 2");
  });
});

describe("kernels that are timed", () => {
  it("give what they gave, are counted, and are put back", () => {
    const product = (a: Float32Array, b: Float32Array, m: number, k: number, n: number) =>
      a.length + b.length + m + k + n;
    const kernels = { batchedMatmul: product, version: "1" };
    const sums = new Map();
    const restore = timeKernels(kernels as never, sums);
    const x = new Float32Array(4);
    expect(kernels.batchedMatmul(x, x, 1, 2, 3)).toBe(14);
    expect(sums.get("batchedMatmul")).toMatchObject({ calls: 1, bytes: 16, flops: 12 });
    restore();
    expect(kernels).toEqual({ batchedMatmul: product, version: "1" });
  });
});

describe("the soak", () => {
  it("tells the memory at the start and after each part, in whole epochs", async () => {
    const points = [];
    for await (const point of soak(20, 1)) points.push(point);
    expect(points.map(({ steps }) => steps)).toEqual([0, 16, 32]);
    for (const { rssBytes } of points) expect(rssBytes).toBeGreaterThan(1e7);
  });
});
