import { describe, expect, it } from "vitest";
import { AdamW, OneCycleLR, type OneCycleOptions, Optimizer, zeros } from "../../src/index.js";
import { expectClose } from "../parity/close.js";

const CLOSE = { rel: 1e-12 };

function start(options: OneCycleOptions) {
  const optimizer = new AdamW([zeros([1])]);
  return { group: optimizer.paramGroups[0], scheduler: new OneCycleLR(optimizer, options) };
}

/** The rate and beta1 of every step, the start included. */
function run(options: OneCycleOptions): [lr: number[], beta1: number[]] {
  const { group, scheduler } = start(options);
  const states = [[group.lr, group.betas[0]]];
  for (let step = 1; step < scheduler.totalSteps; step++) {
    scheduler.step();
    states.push([group.lr, group.betas[0]]);
  }
  return [states.map(([lr]) => lr), states.map(([, beta1]) => beta1)];
}

describe("the rates and beta1", () => {
  const ten = { maxLr: 1, totalSteps: 11, pctStart: 5 / 11, divFactor: 5, finalDivFactor: 2 };

  it("linear: straight from maxLr / divFactor to maxLr and down to the end", () => {
    const [lr, beta1] = run({ ...ten, annealStrategy: "linear" });
    // Up by 0.2 a step to step 4, then down to 0.1 at step 10.
    expectClose(lr, [0.2, 0.4, 0.6, 0.8, 1, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1], CLOSE);
    expectClose(beta1, [0.95, 0.925, 0.9, 0.875, 0.85, ...[1, 2, 3, 4, 5, 6].map((i) => 0.85 + i / 60)], CLOSE);
  });

  it("cosine: the same values at the corners, half-way in the middle", () => {
    const [lr] = run(ten);
    expectClose([lr[0], lr[2], lr[4], lr[7], lr[10]] as number[], [0.2, 0.6, 1, 0.55, 0.1], CLOSE);
  });

  it("epochs times stepsPerEpoch is totalSteps", () => {
    expect(run({ maxLr: 1, epochs: 3, stepsPerEpoch: 5 })).toEqual(run({ maxLr: 1, totalSteps: 15 }));
  });

  it("without cycleMomentum beta1 stays", () => {
    const { group, scheduler } = start({ ...ten, cycleMomentum: false });
    scheduler.step();
    expect(group.betas).toEqual([0.9, 0.999]);
  });

  it("getLastLr() is the group's rate", () => {
    const { group, scheduler } = start(ten);
    scheduler.step();
    expect(scheduler.getLastLr()).toEqual([group.lr]);
  });

  it.each([0, 0.25, 0.5, 1])("pctStart %d of 4 steps: every rate is a number, also past the end", (pctStart) => {
    const { group, scheduler } = start({ maxLr: 1, totalSteps: 4, pctStart });
    for (let step = 0; step <= 4; step++) {
      expect(Number.isFinite(group.lr) && Number.isFinite(group.betas[0]), `step ${step}`).toBe(true);
      if (step < 4) scheduler.step();
    }
  });

  it("a rise of no length starts at the top", () => {
    const [lr] = run({ maxLr: 1, totalSteps: 4, pctStart: 0.25, annealStrategy: "linear", finalDivFactor: 1e9 });
    expectClose(lr, [1, 2 / 3, 1 / 3, 0], { abs: 1e-9 });
  });
});

describe("the end", () => {
  it("one step past the cycle is allowed, as in PyTorch, a further one is an error that changes nothing", () => {
    const { group, scheduler } = start({ maxLr: 1, totalSteps: 4 });
    for (let step = 0; step < 4; step++) scheduler.step();
    const { lr } = group;
    expect(() => scheduler.step()).toThrow(
      expect.objectContaining({ code: "BAD_ARGUMENT", message: expect.stringContaining("4 steps") }),
    );
    expect([scheduler.lastStep, group.lr]).toEqual([4, lr]);
  });
});

describe("restore", () => {
  it.each(["cos", "linear"] as const)("to n is n steps, %s", (annealStrategy) => {
    const options = { maxLr: 0.1, totalSteps: 9, annealStrategy };
    const walking = start(options);
    for (let n = 0; n <= 9; n++) {
      if (n > 0) walking.scheduler.step();
      const jumping = start(options);
      jumping.scheduler.restore(n);
      expect(jumping.group.lr).toBe(walking.group.lr);
      expect(jumping.group.betas).toEqual(walking.group.betas);
      expect(jumping.scheduler.lastStep).toBe(n);
    }
  });

  it.each([-1, 10, 1.5, Number.NaN])("no step %d", (step) => {
    const { scheduler } = start({ maxLr: 0.1, totalSteps: 9 });
    expect(() => scheduler.restore(step)).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
  });
});

describe("bad arguments", () => {
  it.each<OneCycleOptions>([
    { maxLr: 0, totalSteps: 4 },
    { maxLr: Number.NaN, totalSteps: 4 },
    { maxLr: 1 },
    { maxLr: 1, epochs: 3 },
    { maxLr: 1, totalSteps: 0 },
    { maxLr: 1, totalSteps: 2.5 },
    { maxLr: 1, epochs: 0, stepsPerEpoch: 4 },
    { maxLr: 1, totalSteps: 4, pctStart: 1.1 },
    { maxLr: 1, totalSteps: 4, pctStart: Number.NaN },
    { maxLr: 1, totalSteps: 4, divFactor: 0 },
    { maxLr: 1, totalSteps: 4, finalDivFactor: -1 },
    { maxLr: 1, totalSteps: 4, finalDivFactor: 5e-324 },
    { maxLr: 1e300, totalSteps: 4, divFactor: 1e-300 },
    { maxLr: 1, totalSteps: 4, baseMomentum: Number.NaN },
    { maxLr: 1, totalSteps: 4, maxMomentum: 1 },
    { maxLr: 1, totalSteps: 4, annealStrategy: "exp" as "cos" },
    { maxLr: [], totalSteps: 4 },
    { maxLr: [1, 2], totalSteps: 4 },
    { maxLr: null as never, totalSteps: 4 },
    { maxLr: 1, totalSteps: 4, threePhase: "yes" } as never,
  ])("%j", (options) => {
    expect(() => start(options)).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
  });

  it("an optimizer of one's own without momentum, unless cycleMomentum is false", () => {
    class SignSGD extends Optimizer {
      constructor() {
        super([zeros([1])], { lr: 0.1, weightDecay: 0 });
      }
      protected override update(): void {}
    }
    const make = (options: Partial<OneCycleOptions>) =>
      new OneCycleLR(new SignSGD(), { maxLr: 1, totalSteps: 10, ...options });
    expect(() => make({})).toThrow("cycleMomentum: expected an optimizer with momentum or betas");
    expectClose(make({ cycleMomentum: false }).getLastLr(), [0.04], CLOSE);
  });
});
