import { describe, expect, it } from "vitest";
import {
  AdamW,
  constantSchedule,
  cosineSchedule,
  LambdaLR,
  linearSchedule,
  OneCycleLR,
  oneCycleSchedule,
  type Schedule,
  stepSchedule,
  warmup,
  zeros,
} from "../../src/index.js";
import { expectClose } from "./close.js";
import { readFixture } from "./fixture.js";

interface Case {
  schedule: string;
  options: Record<string, number | string | boolean>;
  steps: number;
  top: number;
  lr: number[];
}

/**
 * PyTorch multiplies from rate to rate in some of them: a rounding a step, and one of the size of the top at the end.
 */
const TOLERANCE = { rel: 1e-13, ofLargest: 1e-15 };

const { cases } = readFixture<{ cases: Case[] }>("schedules");

describe("the rates are PyTorch's", () => {
  it.each(cases)("$schedule $options", ({ schedule, options, steps, top, lr }) => {
    const optimizer = new AdamW([zeros([1])], { lr: top });
    const scheduler = new LambdaLR(optimizer, { schedule: made(schedule, options), totalSteps: steps });
    const rates = [...scheduler.getLastLr()];
    for (let step = 0; step < steps; step++) {
      scheduler.step();
      rates.push(...scheduler.getLastLr());
    }
    // A linear OneCycleLR of PyTorch falls below 0 after its last step.
    const wanted = lr.map((rate) => Math.max(0, rate));
    expectClose(rates, wanted, TOLERANCE, "lr");
  });

  it("every schedule has a case", () => {
    const names = ["constant", "cosine", "linear", "step", "oneCycle", "warmup", "inverseRoot"];
    expect([...new Set(cases.map(({ schedule }) => schedule))].sort()).toEqual(names.sort());
  });
});

it.each([{}, { pctStart: 0, divFactor: 20 }, { pctStart: 1 }, { annealStrategy: "linear" as const }])(
  "oneCycleSchedule(%j) has the rates of OneCycleLR",
  (options) => {
    const [top, totalSteps] = [6e-4, 48];
    const [one, other] = [new AdamW([zeros([1])], { lr: top }), new AdamW([zeros([1])])];
    const own = new LambdaLR(one, { schedule: oneCycleSchedule(options), totalSteps });
    const cycle = new OneCycleLR(other, { ...options, maxLr: top, totalSteps });
    for (let step = 0; step <= totalSteps; step++) {
      own.restore(step);
      cycle.restore(step);
      expectClose(
        own.getLastLr(),
        [Math.max(0, cycle.getLastLr()[0])],
        { rel: 1e-13, abs: 1e-15 * top },
        `step ${step}`,
      );
    }
    expect(one.paramGroups[0].betas).toEqual([0.9, 0.999]);
  },
);

function made(name: string, options: Case["options"]): Schedule {
  if (name === "warmup") {
    return warmup(options.steps as number, options.then === "cosine" ? cosineSchedule() : constantSchedule());
  }
  const known: Record<string, (options: never) => Schedule> = {
    constant: constantSchedule,
    cosine: cosineSchedule,
    linear: linearSchedule,
    step: stepSchedule,
    oneCycle: oneCycleSchedule,
    inverseRoot: () => (step) => (1 + step) ** -0.5,
  };
  return (known[name] as (options: object) => Schedule)(options);
}
