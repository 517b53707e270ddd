import { describe, expect, it } from "vitest";
import { AdamW, OneCycleLR, type OptimizerStateDict, Parameter, tensor, zeros } from "../../src/index.js";

/** Two parameters, the first of which has made two steps. */
function started() {
  const parameters = [new Parameter(Float32Array.of(1, 2, 3, 4), [2, 2]), new Parameter(Float32Array.of(5))];
  const optimizer = new AdamW(parameters, { lr: 0.1, betas: [0.5, 0.75], eps: 1e-6, weightDecay: 0.2 });
  for (let step = 0; step < 2; step++) {
    parameters[0].grad = tensor([
      [1, -1],
      [2, 0],
    ]);
    optimizer.step();
  }
  return { parameters, optimizer, group: optimizer.paramGroups[0] };
}

/** What an optimizer keeps for its parameter of a number. */
const stateOf = (optimizer: AdamW, i = 0) => optimizer.state.get(optimizer.parameters[i]);

const code = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as unknown });

describe("AdamW.stateDict()", () => {
  it("has PyTorch's keys; a parameter that never moved is not in it", () => {
    const { state, param_groups: groups } = started().optimizer.stateDict();
    expect([...state.keys()]).toEqual([0]);
    const { step, exp_avg: average, exp_avg_sq: square } = state.get(0) ?? {};
    expect(step?.shape).toEqual([]);
    // 0.5 (0.5 g) + 0.5 g and 0.75 (0.25 g^2) + 0.25 g^2.
    expect([step?.item(), average?.toArray(), square?.toArray()]).toEqual([
      2,
      [
        [0.75, -0.75],
        [1.5, 0],
      ],
      [
        [0.4375, 0.4375],
        [1.75, 0],
      ],
    ]);
    expect(groups).toEqual([
      {
        lr: 0.1,
        betas: [0.5, 0.75],
        eps: 1e-6,
        weight_decay: 0.2,
        amsgrad: false,
        maximize: false,
        foreach: null,
        capturable: false,
        differentiable: false,
        fused: null,
        decoupled_weight_decay: true,
        params: [0, 1],
      },
    ]);
    expect(Object.isFrozen(groups[0]?.betas), "a tuple").toBe(true);
  });

  it("shares the averages, as PyTorch's does", () => {
    const { optimizer } = started();
    expect(optimizer.stateDict().state.get(0)?.exp_avg.data).toBe(stateOf(optimizer)?.expAvg);
  });

  it("has a schedule's values where there is one", () => {
    const { optimizer } = started();
    new OneCycleLR(optimizer, { maxLr: 1, totalSteps: 4, divFactor: 4, finalDivFactor: 5 });
    expect(optimizer.stateDict().param_groups[0]).toMatchObject({
      lr: 0.25,
      betas: [0.95, 0.75],
      initial_lr: 0.25,
      max_lr: 1,
      min_lr: 0.05,
      max_momentum: 0.95,
      base_momentum: 0.85,
    });
  });
});

describe("AdamW.loadStateDict()", () => {
  const fresh = () => new AdamW([zeros([2, 2]), zeros([1])]);
  const stored = (): OptimizerStateDict => structured(started().optimizer.stateDict());
  /** A copy, so that nothing is shared. */
  const structured = (dict: OptimizerStateDict): OptimizerStateDict => ({
    state: new Map(dict.state),
    param_groups: dict.param_groups.map((group) => ({ ...group })),
  });

  it("takes over moments, steps and options, as copies", () => {
    const [source, target] = [started().optimizer, fresh()];
    expect(target.loadStateDict(source.stateDict())).toBe(target);
    expect(target.stateDict()).toEqual(source.stateDict());
    const [{ eps, weightDecay }] = target.paramGroups;
    expect([eps, weightDecay, stateOf(target)?.step, stateOf(target, 1)]).toEqual([1e-6, 0.2, 2, undefined]);
    expect(stateOf(target)?.expAvg).not.toBe(stateOf(source)?.expAvg);
  });

  it("forgets the moments of a parameter that has none there", () => {
    const { optimizer } = started();
    optimizer.loadStateDict(fresh().stateDict());
    expect(optimizer.state.size).toBe(0);
  });

  it("takes objects for Maps, other numbers of the parameters, steps and rates of either kind", () => {
    const { state, param_groups: groups } = stored();
    const target = fresh().loadStateDict({
      state: { 7: { ...state.get(0), step: 2 } },
      param_groups: [{ ...groups[0], lr: tensor([0.5]), params: [7, 3] }],
    });
    expect([target.paramGroups[0].lr, stateOf(target)?.step, stateOf(target)?.expAvg[2]]).toEqual([0.5, 2, 1.5]);
  });

  it("takes older files of PyTorch, which do not say decoupled_weight_decay", () => {
    const dict = stored();
    delete dict.param_groups[0]?.decoupled_weight_decay;
    expect(fresh().loadStateDict(dict).paramGroups[0].lr).toBe(0.1);
  });

  it("keeps a schedule's values where the file has none, and takes the file's where it has", () => {
    const target = fresh();
    const scheduler = new OneCycleLR(target, { maxLr: 1, totalSteps: 4, cycleMomentum: false });
    target.loadStateDict(stored());
    expect(target.paramGroups[0].lr).toBe(0.1);
    const cycle = { initial_lr: 0.5, max_lr: 2, min_lr: 0.25 };
    target.loadStateDict({ ...stored(), param_groups: [{ ...stored().param_groups[0], ...cycle }] });
    scheduler.restore(3);
    expect(target.paramGroups[0].lr).toBeCloseTo(0.25, 12);
  });

  const moments = () => ({ step: tensor([1]), exp_avg: zeros([2, 2]), exp_avg_sq: zeros([2, 2]) });
  const group = (change: object) => ({ ...stored(), param_groups: [{ ...stored().param_groups[0], ...change }] });
  const state = (value: unknown) => ({ ...stored(), state: value });
  it.each<[string, unknown, string, RegExp]>([
    ["nothing", null, "STATE_DICT_MISMATCH", /expected a dictionary with param_groups, got null/],
    ["a tensor", zeros([1]), "STATE_DICT_MISMATCH", /got a value of type Tensor/],
    ["no groups", { state: {} }, "STATE_DICT_MISMATCH", /param_groups: expected a list of groups, got undefined/],
    [
      "two groups",
      { ...stored(), param_groups: [{}, {}] },
      "STATE_DICT_MISMATCH",
      /as many as the optimizer has, 1, got 2/,
    ],
    ["a group of none", { ...stored(), param_groups: [null] }, "STATE_DICT_MISMATCH", /a dictionary/],
    ["fewer parameters", group({ params: [0] }), "STATE_DICT_MISMATCH", /expected 2 parameters, got 1/],
    [
      "amsgrad without maxima",
      group({ amsgrad: true }),
      "STATE_DICT_MISMATCH",
      /state\[0\]\.max_exp_avg_sq: expected a/,
    ],
    ["a flag that is none", group({ maximize: 1 }), "STATE_DICT_MISMATCH", /maximize: expected true or false, got 1/],
    ["Adam", group({ decoupled_weight_decay: false }), "STATE_DICT_MISMATCH", /decoupled_weight_decay: expected true/],
    ["no lr", group({ lr: undefined }), "BAD_ARGUMENT", /lr: expected a number of at least 0, got undefined/],
    ["an lr below 0", group({ lr: -1 }), "BAD_ARGUMENT", /lr: .* got -1/],
    ["an infinite eps", group({ eps: Number.POSITIVE_INFINITY }), "BAD_ARGUMENT", /eps/],
    ["betas of one", group({ betas: [0.9] }), "STATE_DICT_MISMATCH", /betas: expected 2 numbers/],
    ["betas of none", group({ betas: null }), "STATE_DICT_MISMATCH", /betas: expected 2 numbers, got null/],
    ["a rate of the cycle below 0", group({ initial_lr: -1, max_lr: 1, min_lr: 1 }), "BAD_ARGUMENT", /initial_lr/],
    ["no state", state(undefined), "STATE_DICT_MISMATCH", /state: expected a dictionary/],
    ["a parameter too many", state({ 2: moments() }), "STATE_DICT_MISMATCH", /no parameter has the number 2/],
    [
      "no average",
      state({ 0: { ...moments(), exp_avg: 1 } }),
      "STATE_DICT_MISMATCH",
      /state\[0\]\.exp_avg: expected a/,
    ],
    ["no step", state({ 0: { ...moments(), step: undefined } }), "BAD_ARGUMENT", /state\[0\]\.step/],
    ["half a step", state({ 0: { ...moments(), step: tensor([0.5]) } }), "BAD_ARGUMENT", /got 0\.5/],
    ["another shape", state({ 0: { ...moments(), exp_avg_sq: zeros([4]) } }), "SHAPE_MISMATCH", /exp_avg_sq.*\[2, 2\]/],
  ])("refuses %s, and nothing changed", (_, dict, expected, message) => {
    const { optimizer } = started();
    const all = () => [[...optimizer.state.values()], optimizer.stateDict().param_groups];
    const before = structuredClone(all());
    expect(() => optimizer.loadStateDict(dict)).toThrow(code(expected, message));
    expect(all()).toEqual(before);
  });
});

describe("OneCycleLR", () => {
  const start = (options = {}) => {
    const optimizer = new AdamW([zeros([1])]);
    const scheduler = new OneCycleLR(optimizer, { maxLr: 1, totalSteps: 10, ...options });
    return { optimizer, scheduler, group: optimizer.paramGroups[0] };
  };

  it("stateDict() has PyTorch's keys", () => {
    const { scheduler } = start({ divFactor: 4 });
    for (let step = 0; step < 2; step++) scheduler.step();
    const rising = { start_lr: "initial_lr", end_lr: "max_lr" };
    const falling = { start_lr: "max_lr", end_lr: "min_lr" };
    expect(scheduler.stateDict()).toEqual({
      total_steps: 10,
      _schedule_phases: [
        { end_step: 2, ...rising, start_momentum: "max_momentum", end_momentum: "base_momentum" },
        { end_step: 9, ...falling, start_momentum: "base_momentum", end_momentum: "max_momentum" },
      ],
      _anneal_func_type: "cos",
      cycle_momentum: true,
      use_beta1: true,
      base_lrs: [0.25],
      last_epoch: 2,
      _step_count: 3,
      _is_initial: false,
      _get_lr_called_within_step: false,
      _last_lr: [1],
    });
    expect(start({ cycleMomentum: false }).scheduler.stateDict()).not.toHaveProperty("use_beta1");
    expect(start({ threePhase: true }).scheduler.stateDict()._schedule_phases).toEqual([
      { end_step: 2, ...rising, start_momentum: "max_momentum", end_momentum: "base_momentum" },
      {
        end_step: 4,
        start_lr: "max_lr",
        end_lr: "initial_lr",
        start_momentum: "base_momentum",
        end_momentum: "max_momentum",
      },
      {
        end_step: 9,
        start_lr: "initial_lr",
        end_lr: "min_lr",
        start_momentum: "max_momentum",
        end_momentum: "max_momentum",
      },
    ]);
  });

  it.each([[false], [true]])(
    "loadStateDict() takes over phases (three: %s) and place, and leaves the rate to the optimizer's state",
    (threePhase) => {
      const source = start({ annealStrategy: "linear", threePhase });
      const target = start({ totalSteps: 3, cycleMomentum: false });
      for (let step = 0; step < 5; step++) source.scheduler.step();
      const before = target.group.lr;
      target.scheduler.loadStateDict(source.scheduler.stateDict());
      expect([target.scheduler.totalSteps, target.scheduler.lastStep, target.group.lr]).toEqual([10, 5, before]);
      target.optimizer.loadStateDict(source.optimizer.stateDict());
      expect(target.group.lr).toBe(source.group.lr);
      for (let step = 5; step < 10; step++) {
        for (const { scheduler } of [source, target]) scheduler.step();
        expect([target.group.lr, target.group.betas]).toEqual([source.group.lr, source.group.betas]);
      }
    },
  );

  it.each<[string, object, string, RegExp]>([
    ["one phase", { _schedule_phases: [{}] }, "STATE_DICT_MISMATCH", /the two or three of a OneCycleLR, got 1/],
    ["another scheduler", { _schedule_phases: undefined }, "STATE_DICT_MISMATCH", /_schedule_phases.*got undefined/],
    ["two groups", { base_lrs: [1, 1] }, "STATE_DICT_MISMATCH", /base_lrs: expected one for each .*, 1, got 2/],
    ["no cycle_momentum", { cycle_momentum: null }, "STATE_DICT_MISMATCH", /cycle_momentum/],
    ["no steps", { total_steps: 0 }, "BAD_ARGUMENT", /total_steps/],
    ["a top past the end", { _schedule_phases: [{ end_step: 10 }, {}] }, "BAD_ARGUMENT", /end_step.*got 10/],
    ["a rate below 0", { base_lrs: [-1] }, "BAD_ARGUMENT", /base_lrs\[0\]/],
    ["a place past the end", { last_epoch: 11 }, "BAD_ARGUMENT", /last_epoch.*got 11/],
    ["another way to anneal", { _anneal_func_type: "exp" }, "BAD_ARGUMENT", /"cos" or "linear", got "exp"/],
  ])("loadStateDict() refuses %s, and nothing changed", (_, change, expected, message) => {
    const { scheduler } = start();
    const before = scheduler.stateDict();
    expect(() => scheduler.loadStateDict({ ...before, ...change })).toThrow(code(expected, message));
    expect(scheduler.stateDict()).toEqual(before);
  });
});
