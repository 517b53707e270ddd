import { describe, expect, it } from "vitest";
import {
  ConstantLR,
  CosineAnnealingLR,
  CosineAnnealingWarmRestarts,
  LambdaLR,
  LinearLR,
  type LRScheduler,
  linearSchedule,
  OneCycleLR,
  SequentialLR,
  SGD,
  StepLR,
  zeros,
} from "../../src/index.js";

const sgd = () => new SGD([zeros([1])], { lr: 0.5 });

/** A rise, a decay and restarts, and a rate that falls in steps. */
function sequence(optimizer = sgd()): SequentialLR {
  const schedulers = [
    new LinearLR(optimizer, { startFactor: 0.25, totalIters: 4 }),
    new CosineAnnealingWarmRestarts(optimizer, { t0: 2, tMult: 2, etaMin: 0.1 }),
    new StepLR(optimizer, { stepSize: 2 }),
  ];
  return new SequentialLR(optimizer, { schedulers, milestones: [4, 9] });
}

/** The rates before each of so many steps. */
function rates(scheduler: LRScheduler, steps: number): number[] {
  return Array.from({ length: steps }, () => {
    const [lr = Number.NaN] = scheduler.getLastLr();
    scheduler.step();
    return lr;
  });
}

describe("SequentialLR", () => {
  it("gives each scheduler's rates from its beginning, from the base rate on", () => {
    const half = Math.SQRT1_2;
    const wave = [0.5, 0.3, 0.5, 0.3 + 0.2 * half, 0.3];
    const wanted = [0.125, 0.21875, 0.3125, 0.40625, ...wave, 0.5, 0.5, 0.05, 0.05, 0.005];
    for (const [i, lr] of rates(sequence(), wanted.length).entries()) expect(lr).toBeCloseTo(wanted[i] ?? -1, 12);
  });

  it("starts from the rate of a OneCycleLR that comes later, as in PyTorch", () => {
    const make = () => {
      const optimizer = sgd();
      const schedulers = [
        new LinearLR(optimizer, { startFactor: 0.25, totalIters: 2 }),
        new OneCycleLR(optimizer, { maxLr: 0.2, totalSteps: 4, divFactor: 10, pctStart: 0.5 }),
      ];
      return new SequentialLR(optimizer, { schedulers, milestones: [3] });
    };
    // Those that PyTorch gives.
    const wanted = [0.005, 0.0125, 0.02, 0.02, 0.2, 0.100001];
    const jumped = make();
    jumped.restore(5);
    jumped.restore(1);
    for (const [i, lr] of rates(make(), 6).entries()) expect(lr).toBeCloseTo(wanted[i] ?? -1, 9);
    for (const [i, lr] of rates(jumped, 5).entries()) expect(lr).toBeCloseTo(wanted[i + 1] ?? -1, 9);
  });

  it("restore(n) is n steps, and a state dict goes on, wherever it was taken", () => {
    const all = rates(sequence(), 14);
    for (const step of [11, 9, 4, 3, 0, 8]) {
      const [jumped, stepped, optimizer] = [sequence(), sequence(), sgd()];
      jumped.restore(12);
      jumped.restore(step);
      rates(stepped, step);
      const loaded = sequence(optimizer).loadStateDict(stepped.stateDict());
      optimizer.loadStateDict(stepped.optimizer.stateDict());
      for (const scheduler of [jumped, stepped, loaded]) {
        expect(scheduler.lastStep).toBe(step);
        for (const [i, lr] of rates(scheduler, 14 - step).entries()) expect(lr).toBeCloseTo(all[step + i] ?? -1, 12);
      }
    }
  });

  it("ends where its last scheduler ends, and refuses a state of another, with nothing changed", () => {
    const optimizer = sgd();
    const schedulers = [
      new ConstantLR(optimizer),
      new LambdaLR(optimizer, { schedule: linearSchedule(), totalSteps: 4 }),
    ];
    const scheduler = new SequentialLR(optimizer, { schedulers, milestones: [3] });
    expect([scheduler.totalSteps, sequence().totalSteps]).toEqual([7, Number.POSITIVE_INFINITY]);
    const before = scheduler.stateDict();
    expect(() => scheduler.loadStateDict(sequence().stateDict())).toThrow("_schedulers: expected 2, got 3");
    const [first] = before._schedulers as object[];
    const mixed = { ...before, _schedulers: [{ ...first, last_epoch: 2 }, first] };
    expect(() => scheduler.loadStateDict(mixed)).toThrow(expect.objectContaining({ code: "STATE_DICT_MISMATCH" }));
    expect(scheduler.stateDict()).toEqual(before);
  });

  it.each<[string, (optimizer: SGD) => object]>([
    ["schedulers: expected a list of schedulers, got undefined", () => ({})],
    [
      "schedulers[0]: expected an LRScheduler, got a value of type SGD",
      (own) => ({ schedulers: [own], milestones: [] }),
    ],
    [
      "schedulers[0]: expected one of the same optimizer",
      () => ({ schedulers: [new ConstantLR(sgd())], milestones: [] }),
    ],
    [
      "milestones: expected one for each scheduler but the first, 0, got 1",
      (own) => ({ schedulers: [new ConstantLR(own)], milestones: [3] }),
    ],
    [
      "milestones[1]: expected a whole number of at least 4, got 3",
      (own) => ({ schedulers: [1, 2, 3].map(() => new ConstantLR(own)), milestones: [3, 3] }),
    ],
    [
      "schedulers[0]: expected at least the 9 steps to the next, got 4",
      (own) => ({
        schedulers: [
          new LambdaLR(own, { schedule: linearSchedule(), totalSteps: 4 }),
          new CosineAnnealingLR(own, { tMax: 3 }),
        ],
        milestones: [10],
      }),
    ],
    [
      "schedulers: expected a list of at least one scheduler, got an empty list",
      () => ({ schedulers: [], milestones: [] }),
    ],
  ])("refuses: %s", (message, options) => {
    const optimizer = sgd();
    expect(() => new SequentialLR(optimizer, options(optimizer) as never)).toThrow(
      expect.objectContaining({ code: "BAD_ARGUMENT", message }),
    );
  });
});

describe("CosineAnnealingWarmRestarts", () => {
  it("refuses options out of range, and the state of another scheduler", () => {
    const make = (options: object) => () => new CosineAnnealingWarmRestarts(sgd(), options as never);
    expect(make({})).toThrow("t0: expected a whole number of at least 1, got undefined");
    expect(make({ t0: 3, tMult: 0 })).toThrow("tMult: expected a whole number of at least 1, got 0");
    expect(make({ t0: 3, etaMin: -1 })).toThrow("etaMin: expected a number of at least 0, got -1");
    const other = new StepLR(sgd(), { stepSize: 1 }).stateDict();
    expect(() => make({ t0: 3 })().loadStateDict(other)).toThrow(
      "T_0: expected that of a CosineAnnealingWarmRestarts, got undefined",
    );
  });
});
