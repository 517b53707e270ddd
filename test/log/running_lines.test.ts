import { expect, test } from "vitest";
import { type RunningRun, runningLines } from "../../src/log/running_lines.js";

const runs: RunningRun[] = [
  { name: "teacher", epoch: 12, epochs: 150, loss: 0.51234, figures: {} },
  {
    name: "seed-0/distilled",
    epoch: 3,
    epochs: 12,
    loss: 1.25,
    figures: { loss: 1.5, validationLoss: 0.4, validationAccuracy: 0.88125, agreement: 0.9 },
  },
  { name: "seed-1/baseline", epoch: 3, epochs: 12, loss: 0.25, figures: { validationR2: 0.75, validationRmse: 2 } },
];
const linesIn = (width: number, height = 20) => runningLines(runs, { width, height });

test("a line a run: epoch, loss of the last step, the figure of the last epoch", () => {
  expect(linesIn(80)).toEqual([
    "  teacher           epoch  12/150  loss 0.5123",
    "  seed-0/distilled  epoch  3/12  loss 1.2500  accuracy 88.13%",
    "  seed-1/baseline   epoch  3/12  loss 0.2500  R2 0.7500",
  ]);
});

test("names are cut on a narrow terminal, then left out, then all is", () => {
  expect(linesIn(50)[1]).toBe("  seed…  epoch  3/12  loss 1.2500  accuracy 88.13%");
  expect(linesIn(46)[1]).toBe("     epoch  3/12  loss 1.2500  accuracy 88.13%");
  for (const width of [200, 80, 55, 50, 45, 30, 10, 3, 1]) {
    for (const line of linesIn(width)) expect([...line].length).toBeLessThanOrEqual(width);
  }
});

test("of more runs than there are lines the last line tells how many are left out", () => {
  expect(linesIn(80, 2)).toEqual(["  teacher           epoch  12/150  loss 0.5123", "  and 2 more"]);
  expect(linesIn(80, 1)).toEqual(["  and 3 more"]);
  expect(linesIn(80, 0)).toEqual([]);
  expect(runningLines([], { width: 80, height: 5 })).toEqual([]);
});
