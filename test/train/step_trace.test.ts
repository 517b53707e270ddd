import { expect, test } from "vitest";
import { keepStep, keptSteps, newStepTrace } from "../../src/train/step_trace.js";
import { start } from "./support.js";

test("a run gives what onStep was told, with six digits", async () => {
  const told: [number, number, number][] = [];
  const { steps } = await start({
    onStep: ({ step, metrics, gradNorm }) => void told.push([step, metrics.loss, gradNorm]),
  }).done;
  const digits = (value: number) => Number(value.toPrecision(6));
  expect(told.length).toBeGreaterThan(3);
  expect(steps).toEqual(
    told.map(([step, loss, gradNorm]) => ({ step, loss: digits(loss), gradNorm: digits(gradNorm) })),
  );
});

test("of many steps every 2nd, 4th, ... is kept, as it was, at most 600", () => {
  const trace = newStepTrace();
  for (let step = 1; step <= 5000; step++) {
    keepStep(trace, { step, loss: step / 1000, gradNorm: 1 / 3 });
    expect(trace.points.length).toBeLessThanOrEqual(600);
  }
  const kept = keptSteps(trace);
  expect(kept.map(({ step }) => step)).toEqual(Array.from({ length: 312 }, (_, i) => 16 * (i + 1)));
  for (const { step, loss, gradNorm } of kept) expect([loss, gradNorm]).toEqual([step / 1000, 0.333333]);
});
