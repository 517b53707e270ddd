import { describe, expect, test } from "vitest";
import { overallLine, type StepProgress, stepLine } from "../../src/log/progress_line.js";

const paint = (done: string, left: string) => done + left;
const distilling: StepProgress = {
  epoch: 3,
  step: 900,
  steps: 2400,
  metrics: { loss: 0.98456, soft: 0.81234, hard: 1.23456 },
  lr: 3.0742e-5,
  samplesPerSecond: 12345.6,
};
const training = { ...distilling, metrics: { loss: 0.98456 } };
const stepAt = (width: number, progress = distilling, left: number | null = 65.2) =>
  stepLine(progress, { epochs: 150, left, width, paint });

describe("a run's line", () => {
  test.each([
    [
      160,
      "━━━━━━━━━━━─────────────────── 37% | epoch   3/150 | step  900/2400 | 1:06 left | loss 0.9846 | soft 0.8123 hard 1.2346 | lr 0.000031 | 12,346 samples/s",
    ],
    [
      119,
      "━━──── 37% | epoch   3/150 | step  900/2400 | 1:06 left | loss 0.9846 | soft 0.8123 hard 1.2346 | lr 0.000031 | 12.3k/s",
    ],
    [99, "━━━━━━─────────── 37% epoch   3/150 1:06 left loss 0.9846 soft 0.8123 hard 1.2346 lr 3.1e-5 12.3k/s"],
    [79, "━─── 37%   3/150 1:06 left loss 0.985 soft 0.8123 hard 1.2346 lr 3.1e-5 12.3k/s"],
    [70, "━━━─────── 37%   3/150 1:06 loss 0.985 soft 0.812 hard 1.235 lr 3.1e-5"],
    [59, "━━━────── 37%   3/150 1:06 loss 0.985 soft 0.812 hard 1.235"],
    [40, "━━━━──────── 37%   3/150 1:06 loss 0.985"],
    [20, "━━━───── 37%   3/150"],
    [10, "━━──── 37%"],
    [3, "37%"],
    [2, "3…"],
    [1, "…"],
  ])("in %i columns", (width, line) => {
    expect(stepAt(width)).toBe(line);
  });

  test("a loss without metrics of its own, before the time left is known", () => {
    expect(stepAt(79, training, null)).toBe(
      "━━──── 37% epoch   3/150 step  900/2400 -:-- left loss 0.9846 lr 3.1e-5 12.3k/s",
    );
  });

  test("hours left, a loss of two digits and a long run still fit in 79 columns, with all figures", () => {
    const line = stepAt(
      79,
      { ...distilling, epoch: 149, step: 140_000, steps: 140_700, metrics: { ...distilling.metrics, loss: 12.5 } },
      35_999,
    );
    expect(line).toBe("━━━━━━─ 99% 149/150 9:59:59 loss 12.500 soft 0.812 hard 1.235 lr 3.1e-5 12.3k/s");
  });

  test("it is never too long, and the more columns there are, the more it says", () => {
    const all = Array.from({ length: 200 }, (_, i) => stepAt(i + 1));
    all.forEach((line, i) => {
      expect(line.length).toBeLessThanOrEqual(i + 1);
    });
    const said = all.slice(10).map((line) => line.replaceAll(/[━─| ]+/g, "").length);
    expect(said).toEqual(said.toSorted((a, b) => a - b));
  });

  test.each([
    [0, "0/s"],
    [949.6, "950/s"],
    [999.6, "1.00k/s"],
    [12_345, "12.3k/s"],
    [999_499, "999k/s"],
    [1_234_567, "1.23M/s"],
  ])("%d samples a second", (samplesPerSecond, text) => {
    expect(stepAt(79, { ...training, samplesPerSecond }).endsWith(` ${text}`)).toBe(true);
  });

  test("the two pieces of the bar are painted, which counts for nothing", () => {
    const painted = (done: string, left: string) => `<${done}><${left}>`;
    const line = stepLine(distilling, { epochs: 150, left: null, width: 10, paint: painted });
    expect(line).toBe("<━━><────> 37%");
  });
});

describe("the line of several runs", () => {
  const overallAt = (width: number, text: string, [done, total] = [5, 20]) =>
    overallLine({ done, total, text }, { left: 3725, width, paint });

  test.each([
    [79, "seed 3 of 5: distilled", "━━━━━━━─────────────────────── 25% | 1:02:05 left | seed 3 of 5: distilled"],
    [40, "seed 3 of 5: distilled", "━───── 25% 1:02:05 left seed 3 of 5: di…"],
    [30, "seed 3 of 5: distilled", "━───── 25% 1:02:05 left seed …"],
    [22, "seed 3 of 5: distilled", "━──── 25% 1:02:05 left"],
    [12, "seed 3 of 5: distilled", "━━────── 25%"],
    [79, "two\nlines\x1b[31m", "━━━━━━━─────────────────────── 25% | 1:02:05 left | two lines\\u001b[31m"],
    // Signs that are two columns wide.
    [40, "東京東京東京東京東京東京", "━────── 25% 1:02:05 left 東京東京東京東…"],
  ])("in %i columns: %j", (width, text, line) => {
    expect(overallAt(width, text)).toBe(line);
  });

  test("before there is anything to do", () => {
    expect(overallAt(40, "", [0, 0])).toBe("─────────────────────  0% | 1:02:05 left");
  });
});
