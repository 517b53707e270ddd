import { describe, expect, it } from "vitest";
import {
  AdamW,
  ConstantLR,
  CosineAnnealingLR,
  ExponentialLR,
  LambdaLR,
  LinearLR,
  type LRScheduler,
  linearSchedule,
  MultiStepLR,
  multiStepSchedule,
  OneCycleLR,
  ReduceLROnPlateau,
  type Schedule,
  SGD,
  StepLR,
  zeros,
} from "../../src/index.js";
import { expectClose } from "../parity/close.js";

function start(schedule: Schedule = linearSchedule(), totalSteps = 4, lr = 0.5) {
  const optimizer = new AdamW([zeros([1])], { lr });
  return { group: optimizer.paramGroups[0], scheduler: new LambdaLR(optimizer, { schedule, totalSteps }) };
}

const refused = (code: string, message: string | RegExp) =>
  expect.objectContaining({
    code,
    message: typeof message === "string" ? message : (expect.stringMatching(message) as unknown),
  });

describe("LambdaLR", () => {
  it("is the group's rate from before times the schedule, from the start on", () => {
    const { group, scheduler } = start();
    const rates = [group.lr];
    for (let step = 0; step < 4; step++) {
      scheduler.step();
      rates.push(group.lr);
      expect(scheduler.getLastLr()).toEqual([group.lr]);
    }
    expect(rates).toEqual([0.5, 0.375, 0.25, 0.125, 0]);
    expect([group.betas, scheduler.lastStep, scheduler.totalSteps]).toEqual([[0.9, 0.999], 4, 4]);
  });

  it("ends: a further step is an error that changes nothing", () => {
    const { group, scheduler } = start();
    scheduler.restore(4);
    expect(() => scheduler.step()).toThrow(
      refused("BAD_ARGUMENT", "step: the schedule has 4 steps, and all were made"),
    );
    expect([scheduler.lastStep, group.lr]).toEqual([4, 0]);
  });

  it("restore(n) is n steps, also backwards", () => {
    const { group, scheduler } = start();
    for (const step of [3, 1, 4, 0]) {
      scheduler.restore(step);
      expect([scheduler.lastStep, group.lr]).toEqual([step, 0.5 * (1 - step / 4)]);
    }
    expect(() => scheduler.restore(5)).toThrow(
      refused("BAD_ARGUMENT", "step: expected a whole number from 0 to 4, got 5"),
    );
  });

  it("gets the step and the number of steps", () => {
    const asked: number[][] = [];
    const { scheduler } = start((...places) => asked.push(places), 7);
    scheduler.step();
    scheduler.restore(5);
    expect(asked).toEqual([
      [0, 7],
      [1, 7],
      [5, 7],
    ]);
  });
});

describe("LambdaLR.stateDict()", () => {
  it("has PyTorch's keys", () => {
    const { scheduler } = start();
    scheduler.step();
    expect(scheduler.stateDict()).toEqual({
      base_lrs: [0.5],
      last_epoch: 1,
      _step_count: 2,
      _is_initial: false,
      _get_lr_called_within_step: false,
      _last_lr: [0.375],
      lr_lambdas: [null],
    });
  });

  it("loaded, gives top rate and place; the rate in force comes with the next step", () => {
    const [source, target] = [start(), start(linearSchedule(), 4, 8)];
    source.scheduler.restore(2);
    expect(target.scheduler.loadStateDict(source.scheduler.stateDict())).toBe(target.scheduler);
    expect([target.scheduler.lastStep, target.group.lr]).toEqual([2, 8]);
    target.scheduler.step();
    expect(target.group.lr).toBe(0.125);
  });

  const good = { base_lrs: [0.5], last_epoch: 1, lr_lambdas: [null] };
  it.each<[string, unknown, string, string | RegExp]>([
    ["nothing", null, "STATE_DICT_MISMATCH", /expected a dictionary/],
    [
      "another scheduler",
      new OneCycleLR(new AdamW([zeros([1])]), { maxLr: 1, totalSteps: 4 }).stateDict(),
      "STATE_DICT_MISMATCH",
      "in the scheduler's state dict, lr_lambdas: expected one for each parameter group, 1, got undefined",
    ],
    [
      "two groups",
      { ...good, base_lrs: [1, 2] },
      "STATE_DICT_MISMATCH",
      /base_lrs: expected one for each parameter group, 1, got 2/,
    ],
    ["a rate below 0", { ...good, base_lrs: [-1] }, "BAD_ARGUMENT", /base_lrs\[0\]: .* got -1/],
    ["a place past the end", { ...good, last_epoch: 5 }, "BAD_ARGUMENT", /last_epoch: .* from 0 to 4, got 5/],
  ])("refuses %s, and nothing changed", (_, state, code, message) => {
    const { group, scheduler } = start();
    expect(() => scheduler.loadStateDict(state)).toThrow(refused(code, message));
    scheduler.step();
    expect([scheduler.lastStep, group.lr]).toEqual([1, 0.375]);
  });
});

it.each<[string, (optimizer: AdamW) => LRScheduler]>([
  ["step_size", (optimizer) => new StepLR(optimizer, { stepSize: 30 })],
  ["milestones", (optimizer) => new MultiStepLR(optimizer, { milestones: [30] })],
])("an ExponentialLR refuses a state with %s, and nothing changed", (key, other) => {
  const optimizer = () => new AdamW([zeros([1])], { lr: 0.5 });
  const scheduler = new ExponentialLR(optimizer(), { gamma: 0.75 });
  const message = `in the scheduler's state dict, ${key}: got that of another scheduler than ExponentialLR`;
  expect(() => scheduler.loadStateDict(other(optimizer()).stateDict())).toThrow(
    refused("STATE_DICT_MISMATCH", message),
  );
  scheduler.step();
  expect(scheduler.getLastLr()).toEqual([0.375]);
});

it.each<[string, (optimizer: SGD) => LRScheduler]>([
  ["LambdaLR", (optimizer) => new LambdaLR(optimizer, { schedule: linearSchedule(), totalSteps: 4 })],
  ["StepLR", (optimizer) => new StepLR(optimizer, { stepSize: 2, gamma: 0.5 })],
])("a state of %s that is taken after a group was added can be loaded", (_, make) => {
  const rates = [0, 1].map((before) => {
    const optimizer = new SGD([zeros([1])], { lr: 1 });
    const scheduler = make(optimizer);
    for (let i = 0; i < before; i++) scheduler.step();
    optimizer.addParamGroup({ params: [zeros([2])], lr: 4 });
    const next = new SGD([{ params: [zeros([1])] }, { params: [zeros([2])] }], { lr: 1 });
    const loaded = make(next);
    next.loadStateDict(optimizer.stateDict());
    loaded.loadStateDict(scheduler.stateDict());
    scheduler.step();
    loaded.step();
    return [scheduler.getLastLr(), loaded.getLastLr()];
  });
  for (const [kept, loaded] of rates) expect(loaded).toEqual(kept);
});

describe("LambdaLR refuses", () => {
  it.each<[string, () => unknown]>([
    [
      "schedule: expected a schedule, a function of the step and the number of steps, got null",
      () => start(null as never),
    ],
    ["totalSteps: expected a whole number of at least 1, got 0", () => start(linearSchedule(), 0)],
    ["schedule(0, 4): expected a number of at least 0, got NaN", () => start(() => Number.NaN)],
    ["schedule(0, 4): expected a number of at least 0, got -1", () => start(() => -1)],
    ["schedule(0, 4): expected a number of at least 0, got undefined", () => start((() => {}) as never)],
    [
      "schedule(1, 4): expected a number of at least 0, got Infinity",
      () => start((step) => 1 / (1 - step)).scheduler.step(),
    ],
  ])("%s", (message, body) => {
    expect(body).toThrow(refused("BAD_ARGUMENT", message));
  });
});

it("a milestone of 0 is passed from the start, as in PyTorch; a fraction and a list for other groups are refused", () => {
  const optimizer = () => new AdamW([zeros([1])], { lr: 0.5 });
  const scheduler = new MultiStepLR(optimizer(), { milestones: [0, 2] });
  const rates = [0, 1, 2].map((step) => {
    scheduler.restore(step);
    return scheduler.getLastLr()[0];
  });
  expect(rates).toEqual([0.05, 0.05, expect.closeTo(0.005, 12)]);
  expect(multiStepSchedule({ milestones: [0, 0.5] })(0, 10)).toBe(0.1);
  expect(() => new MultiStepLR(optimizer(), { milestones: [0.5] })).toThrow(
    refused("BAD_ARGUMENT", "milestones[0]: expected a whole number of at least 0, got 0.5"),
  );
  const schedule = [linearSchedule(), linearSchedule()];
  expect(() => new LambdaLR(optimizer(), { schedule, totalSteps: 4 })).toThrow(
    refused("BAD_ARGUMENT", /^schedule: expected one for each of 1 parameter groups/),
  );
});

describe("as in PyTorch 2.15", () => {
  const sgd = (lr: number) => new SGD([zeros([1])], { lr });
  const ratesOf = (scheduler: LRScheduler, steps: number) =>
    Array.from({ length: steps }, () => {
      scheduler.step();
      return scheduler.getLastLr()[0];
    });

  it("ConstantLR refuses a factor for no steps, where PyTorch's rate depends on how it is made", () => {
    expect(() => new ConstantLR(sgd(1), { factor: 0.5, totalIters: 0 })).toThrow(
      expect.objectContaining({
        code: "BAD_ARGUMENT",
        message: "totalIters: expected at least 1 call of step() for the factor 0.5, got 0",
      }),
    );
    expect(ratesOf(new ConstantLR(sgd(1), { factor: 1, totalIters: 0 }), 2)).toEqual([1, 1]);
  });

  it("the defaults of LinearLR and ConstantLR", () => {
    const linear = new LinearLR(sgd(3));
    expectClose([linear.getLastLr()[0], ...ratesOf(linear, 6)], [1, 1.4, 1.8, 2.2, 2.6, 3, 3], { rel: 1e-12 });
    expectClose(ratesOf(new ConstantLR(sgd(3)), 5), [1, 1, 1, 1, 3], { rel: 1e-12 });
  });

  it("LinearLR ends at its end, whatever rounding makes of the way there", () => {
    for (const startFactor of [0.1, 0.3, 0.7, 1 / 3]) {
      for (const totalIters of [3, 6, 7, 49]) {
        const linear = new LinearLR(sgd(0.1), { startFactor, endFactor: 0, totalIters });
        expect(ratesOf(linear, totalIters + 2).slice(-3)).toEqual([0, 0, 0]);
        linear.optimizer.step(); // refuses rates below 0
      }
    }
  });

  it("a rate that was set at a cosine's lowest point rises by as much as the cosine does", () => {
    const optimizer = sgd(1);
    const scheduler = new CosineAnnealingLR(optimizer, { tMax: 2, etaMin: 0.1 });
    expectClose(ratesOf(scheduler, 2), [0.55, 0.1], { rel: 1e-12 });
    optimizer.paramGroups[0].lr = 0.3;
    expectClose(ratesOf(scheduler, 1), [0.75], { rel: 1e-12 });
  });

  it("a figure that stays is no improvement on a plateau with mode max and a threshold of 0", () => {
    const optimizer = sgd(1);
    const scheduler = new ReduceLROnPlateau(optimizer, { mode: "max", threshold: 0, patience: 0 });
    for (let i = 0; i < 2; i++) scheduler.step(1);
    expect(optimizer.paramGroups[0].lr).toBeCloseTo(0.1, 12);
  });
});

it("a rate that nobody changed gathers no rounding errors: it has the bits of a resumed one", () => {
  const [stepped, restored] = [0, 1].map(() => new ExponentialLR(new SGD([zeros([1])], { lr: 0.1 }), { gamma: 0.9 }));
  for (let i = 0; i < 50; i++) stepped.step();
  restored.restore(50);
  expect([stepped.getLastLr(), restored.getLastLr()]).toEqual([[0.1 * 0.9 ** 50], [0.1 * 0.9 ** 50]]);
});
