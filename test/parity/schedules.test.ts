import { describe, expect, it } from "vitest";
import {
  AdamW,
  constant,
  cosine,
  LambdaLR,
  linear,
  OneCycleLR,
  oneCycle,
  type Schedule,
  stepDecay,
  warmUp,
  zeros,
} from "../../src/index.js";
import { expectClose } from "./close.js";
import { readFixture } from "./fixture.js";

interface Case {
  schedule: string;
  options: Record<string, number | string>;
  steps: number;
  top: number;
  lr: number[];
}

/** PyTorch multiplies from rate to rate in some of them: a rounding a step, and one of the size of the top at the end. */
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
    const names = ["constant", "cosine", "linear", "stepDecay", "oneCycle", "warmUp", "inverseRoot"];
    expect([...new Set(cases.map(({ schedule }) => schedule))].sort()).toEqual(names.sort());
  });
});

it.each([{}, { pctStart: 0, divFactor: 20 }, { pctStart: 1 }, { annealStrategy: "linear" as const }])(
  "oneCycle(%j) has the rates of OneCycleLR",
  (options) => {
    const [top, totalSteps] = [6e-4, 48];
    const [one, other] = [new AdamW([zeros([1])], { lr: top }), new AdamW([zeros([1])])];
    const own = new LambdaLR(one, { schedule: oneCycle(options), totalSteps });
    const cycle = new OneCycleLR(other, { ...options, maxLr: top, totalSteps });
    for (let step = 0; step <= totalSteps; step++) {
      own.restore(step);
      cycle.restore(step);
      expectClose([one.lr], [Math.max(0, other.lr)], { rel: 1e-13, abs: 1e-15 * top }, `step ${step}`);
    }
    expect(one.betas).toEqual([0.9, 0.999]);
  },
);

function made(name: string, options: Case["options"]): Schedule {
  if (name === "warmUp") return warmUp(options.steps as number, options.then === "cosine" ? cosine() : constant());
  const known: Record<string, (options: never) => Schedule> = {
    constant,
    cosine,
    linear,
    stepDecay,
    oneCycle,
    inverseRoot: () => (step) => (1 + step) ** -0.5,
  };
  return (known[name] as (options: object) => Schedule)(options);
}
