import { describe, expect, it } from "vitest";
import { AdamW, type AdamWStateDict, OneCycleLR, Parameter, tensor, zeros } from "../../src/index.js";

/** Two parameters, the first of which has made two steps. */
function started() {
  const parameters = [new Parameter(Float32Array.of(1, 2, 3, 4), [2, 2]), new Parameter(Float32Array.of(5))];
  const optimizer = new AdamW(parameters, { lr: 0.1, betas: [0.5, 0.75], eps: 1e-6, weightDecay: 0.2 });
  for (let step = 0; step < 2; step++) {
    (parameters[0] as Parameter).grad = tensor([
      [1, -1],
      [2, 0],
    ]);
    optimizer.step();
  }
  return { parameters, optimizer };
}

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
    expect(optimizer.stateDict().state.get(0)?.exp_avg.data).toBe(optimizer.state[0]?.expAvg);
  });

  it("has a schedule's corners where there is one", () => {
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
  const stored = (): AdamWStateDict => structured(started().optimizer.stateDict());
  /** A copy, so that nothing is shared. */
  const structured = (dict: AdamWStateDict): AdamWStateDict => ({
    state: new Map(dict.state),
    param_groups: dict.param_groups.map((group) => ({ ...group })),
  });

  it("takes over moments, steps and options, as copies", () => {
    const [source, target] = [started().optimizer, fresh()];
    const moments = target.state[0]?.expAvg;
    expect(target.loadStateDict(source.stateDict())).toBe(target);
    expect(target.stateDict()).toEqual(source.stateDict());
    expect([target.eps, target.weightDecay, target.state[0]?.step, target.state[1]?.step]).toEqual([1e-6, 0.2, 2, 0]);
    expect(target.state[0]?.expAvg).toBe(moments);
  });

  it("forgets the moments of a parameter that has none there", () => {
    const { optimizer } = started();
    optimizer.loadStateDict(fresh().stateDict());
    expect(optimizer.state[0]).toEqual({ expAvg: new Float32Array(4), expAvgSq: new Float32Array(4), step: 0 });
  });

  it("takes objects for Maps, other numbers of the parameters, steps and rates of either kind", () => {
    const { state, param_groups: groups } = stored();
    const target = fresh().loadStateDict({
      state: { 7: { ...state.get(0), step: 2 } },
      param_groups: [{ ...groups[0], lr: tensor([0.5]), params: [7, 3] }],
    });
    expect([target.lr, target.state[0]?.step, target.state[0]?.expAvg[2]]).toEqual([0.5, 2, 1.5]);
  });

  it("takes older files of PyTorch, which do not say decoupled_weight_decay", () => {
    const dict = stored();
    delete dict.param_groups[0]?.decoupled_weight_decay;
    expect(fresh().loadStateDict(dict).lr).toBe(0.1);
  });

  it("keeps a schedule's corners where the file has none, and takes the file's where it has", () => {
    const target = fresh();
    const scheduler = new OneCycleLR(target, { maxLr: 1, totalSteps: 4, cycleMomentum: false });
    target.loadStateDict(stored());
    expect(target.lr).toBe(0.1);
    const corners = { initial_lr: 0.5, max_lr: 2, min_lr: 0.25 };
    target.loadStateDict({ ...stored(), param_groups: [{ ...stored().param_groups[0], ...corners }] });
    scheduler.restore(3);
    expect(target.lr).toBeCloseTo(0.25, 12);
  });

  const moments = () => ({ step: tensor([1]), exp_avg: zeros([2, 2]), exp_avg_sq: zeros([2, 2]) });
  const group = (change: object) => ({ ...stored(), param_groups: [{ ...stored().param_groups[0], ...change }] });
  const state = (value: unknown) => ({ ...stored(), state: value });
  it.each<[string, unknown, string, RegExp]>([
    ["nothing", null, "STATE_DICT_MISMATCH", /expected a dictionary with param_groups, got null/],
    ["a tensor", zeros([1]), "STATE_DICT_MISMATCH", /got a value of type Tensor/],
    ["no groups", { state: {} }, "STATE_DICT_MISMATCH", /param_groups: expected a list of one group, got undefined/],
    ["two groups", { ...stored(), param_groups: [{}, {}] }, "STATE_DICT_MISMATCH", /one parameter group, got 2/],
    ["a group of none", { ...stored(), param_groups: [null] }, "STATE_DICT_MISMATCH", /a dictionary/],
    ["fewer parameters", group({ params: [0] }), "STATE_DICT_MISMATCH", /expected 2 parameters, got 1/],
    ["amsgrad", group({ amsgrad: true }), "STATE_DICT_MISMATCH", /amsgrad: expected false, got true/],
    ["maximize", group({ maximize: true }), "STATE_DICT_MISMATCH", /maximize/],
    ["Adam", group({ decoupled_weight_decay: false }), "STATE_DICT_MISMATCH", /decoupled_weight_decay: expected true/],
    ["no lr", group({ lr: undefined }), "BAD_ARGUMENT", /lr: expected a number of at least 0, got undefined/],
    ["an lr below 0", group({ lr: -1 }), "BAD_ARGUMENT", /lr: .* got -1/],
    ["an infinite eps", group({ eps: Number.POSITIVE_INFINITY }), "BAD_ARGUMENT", /eps/],
    ["betas of one", group({ betas: [0.9] }), "BAD_ARGUMENT", /betas\[1\]/],
    ["betas of none", group({ betas: null }), "STATE_DICT_MISMATCH", /betas: expected two numbers, got null/],
    ["a corner at 0", group({ initial_lr: 0, max_lr: 1, min_lr: 1 }), "BAD_ARGUMENT", /initial_lr/],
    ["no state", state(undefined), "STATE_DICT_MISMATCH", /state: expected moments/],
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
    const before = structuredClone([optimizer.state, optimizer.lr, optimizer.betas, optimizer.eps]);
    expect(() => optimizer.loadStateDict(dict)).toThrow(code(expected, message));
    expect([optimizer.state, optimizer.lr, optimizer.betas, optimizer.eps]).toEqual(before);
  });
});

describe("OneCycleLR", () => {
  const start = (options = {}) => {
    const optimizer = new AdamW([zeros([1])]);
    return { optimizer, scheduler: new OneCycleLR(optimizer, { maxLr: 1, totalSteps: 10, ...options }) };
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
  });

  it("loadStateDict() takes over course and place, and leaves the rate to the optimizer's state", () => {
    const [source, target] = [start({ annealStrategy: "linear" }), start({ totalSteps: 3, cycleMomentum: false })];
    for (let step = 0; step < 5; step++) source.scheduler.step();
    const before = target.optimizer.lr;
    target.scheduler.loadStateDict(source.scheduler.stateDict());
    expect([target.scheduler.totalSteps, target.scheduler.lastStep, target.optimizer.lr]).toEqual([10, 5, before]);
    target.optimizer.loadStateDict(source.optimizer.stateDict());
    expect(target.optimizer.lr).toBe(source.optimizer.lr);
    for (let step = 5; step < 10; step++) {
      for (const { scheduler } of [source, target]) scheduler.step();
      expect([target.optimizer.lr, target.optimizer.betas]).toEqual([source.optimizer.lr, source.optimizer.betas]);
    }
  });

  it.each<[string, object, string, RegExp]>([
    ["three phases", { _schedule_phases: [{}, {}, {}] }, "STATE_DICT_MISMATCH", /not three_phase, got 3/],
    ["another scheduler", { _schedule_phases: undefined }, "STATE_DICT_MISMATCH", /_schedule_phases.*got undefined/],
    ["two groups", { base_lrs: [1, 1] }, "STATE_DICT_MISMATCH", /base_lrs: expected one rate, got 2/],
    ["no cycle_momentum", { cycle_momentum: null }, "STATE_DICT_MISMATCH", /cycle_momentum/],
    ["no steps", { total_steps: 0 }, "BAD_ARGUMENT", /total_steps/],
    ["a top past the end", { _schedule_phases: [{ end_step: 10 }, {}] }, "BAD_ARGUMENT", /end_step.*got 10/],
    ["a rate of 0", { base_lrs: [0] }, "BAD_ARGUMENT", /base_lrs\[0\]/],
    ["a place past the end", { last_epoch: 11 }, "BAD_ARGUMENT", /last_epoch.*got 11/],
    ["another course", { _anneal_func_type: "exp" }, "BAD_ARGUMENT", /"cos" or "linear", got "exp"/],
  ])("loadStateDict() refuses %s, and nothing changed", (_, change, expected, message) => {
    const { scheduler } = start();
    const before = scheduler.stateDict();
    expect(() => scheduler.loadStateDict({ ...before, ...change })).toThrow(code(expected, message));
    expect(scheduler.stateDict()).toEqual(before);
  });
});
