import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "./checkpoint/support.js";
import { examples } from "./cli/examples.js";

// script.ts is in parity/script.test.ts, beside the whole run that it must equal.
const run = examples();
const folder = temporaryFolder();

describe.concurrent("examples reach their targets", () => {
  test("own_network: a network of one's own, distilled on data of one's own", async ({ expect }) => {
    const { code, stdout, stderr } = await run("own_network", [], folder);
    expect([code, stderr]).toEqual([0, ""]);
    const student = /^student: (\d+) parameters, accuracy (\S+), agreement (\S+)$/m.exec(stdout)?.slice(1).map(Number);
    const teacher = /^teacher: (\d+) parameters, accuracy (\S+)$/m.exec(stdout)?.slice(1).map(Number);
    const [size, accuracy, agreement] = student as [number, number, number];
    expect(accuracy).toBeGreaterThanOrEqual(0.95);
    expect(agreement).toBeGreaterThanOrEqual(0.95);
    expect(teacher?.[1]).toBeGreaterThanOrEqual(0.95);
    expect((teacher?.[0] as number) / size).toBeGreaterThan(60);
  });

  test("own_loop: a loss of one's own, on the tape", async ({ expect }) => {
    const { code, stdout, stderr } = await run("own_loop", [], folder);
    expect([code, stderr]).toEqual([0, ""]);
    const distances = [...stdout.matchAll(/^epoch \d+: mean squared distance (\S+)$/gm)].map(([, d]) => Number(d));
    expect(distances).toHaveLength(4);
    expect(distances).toEqual([...distances].sort((a, b) => b - a));
    expect(distances.at(-1)).toBeLessThan(0.01);
  });

  test.each([
    ["own_network", "1.01", "the student's accuracy is below its target of 1.01\n"],
    ["own_loop", "0", "the student is further from the teacher than 0\n"],
  ])("%s fails where it misses its target", async (name, target, message) => {
    const { code, stderr } = await run(name, [target], folder);
    expect([code, stderr]).toEqual([1, message]);
  });
});

test("they write nothing where they run", () => {
  expect(readdirSync(folder)).toEqual([]);
});
