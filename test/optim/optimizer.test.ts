import { describe, expect, it } from "vitest";
import {
  Adam,
  AdamW,
  clipGradValue,
  Linear,
  Optimizer,
  Parameter,
  type ParamGroup,
  type Params,
  SGD,
  type Tensor,
  tensor,
} from "../../src/index.js";
import { createScheduler, OPTIMIZERS } from "../../src/optim/index.js";

const parameter = (...values: number[]) => new Parameter(Float32Array.from(values));
const refused = (message: string) => expect.objectContaining({ code: "BAD_ARGUMENT", message });

describe("parameter groups", () => {
  it("of Adam and of AdamW are told apart by nothing that is given", () => {
    const given = [[parameter(1)], {}, true] as unknown as [Parameter[]];
    const decoupled = [new Adam(...given), new AdamW(...given)].map(({ paramGroups }) => paramGroups[0]);
    expect(decoupled.map(({ decoupledWeightDecay }) => decoupledWeightDecay)).toEqual([false, true]);
  });

  it("have the optimizer's options in place of those that they do not give", () => {
    const [a, b] = [parameter(1), parameter(1)];
    const optimizer = new SGD([{ params: a, lr: 0.5 }, { params: [b] }], { lr: 0.1 });
    for (const p of [a, b]) p.grad = tensor([1]);
    optimizer.step();
    expect([a.item(), b.item()]).toEqual([0.5, Math.fround(0.9)]);
  });

  it("can be added later", () => {
    const [a, b] = [parameter(1), parameter(1)];
    const optimizer = new SGD([a], { lr: 0.1 });
    optimizer.addParamGroup({ params: b, lr: 0.25 });
    b.grad = tensor([2]);
    optimizer.step();
    expect([a.item(), b.item(), optimizer.paramGroups[1].momentum]).toEqual([1, 0.5, 0]);
  });

  it.each<[string, () => unknown]>([
    [
      'options: unknown option "momentun", did you mean momentum?',
      () => new SGD([parameter(1)], { momentun: 1 } as never),
    ],
    ['options: unknown option "wd", expected one of', () => new AdamW([parameter(1)], { wd: 1 } as never)],
    [
      'paramGroups[1]: unknown option "Lr", did you mean lr?',
      () => {
        new Adam([{ params: parameter(1) }, { params: parameter(1), Lr: 1 } as never]);
      },
    ],
    ["dampening: expected a finite number, got Infinity", () => new SGD([parameter(1)], { dampening: Infinity })],
    ["lr: expected a number of at least 0, got -1", () => new Adam([{ params: parameter(1), lr: -1 }])],
    ["nesterov: expected a momentum above 0 and a dampening of 0", () => new SGD([parameter(1)], { nesterov: true })],
    [
      "nesterov: expected a momentum above 0 and a dampening of 0",
      () => new SGD([parameter(1)], { nesterov: true, momentum: 0.9, dampening: 0.1 }),
    ],
    [
      "params: expected a list of at least one parameter, got a value of type Linear: its parameters() are one",
      () => new Adam(new Linear(2, 1) as never),
    ],
    [
      "parameters: expected a list of at least one parameter, got [a value of type Linear]: its parameters() are one",
      () => new SGD([new Linear(2, 1)] as never),
    ],
    ["params: expected a list of at least one parameter, got an empty list", () => new SGD([])],
    [
      "parameters: expected each parameter once, got one twice",
      () => {
        const twice = parameter(1);
        new SGD([{ params: twice }, { params: [twice] }]);
      },
    ],
    [
      "params[1]: expected a leaf, got what an operation made of others: new Parameter(x.data.slice(), x.shape) is one",
      () => new SGD([parameter(1), parameter(1).div(28)], { lr: 0.1 }),
    ],
  ])("%s", (message, body) => {
    expect(body).toThrow(
      expect.objectContaining({ code: "BAD_ARGUMENT", message: expect.stringContaining(message) as unknown }),
    );
  });

  it("a bad rate in the second stops the step before the first moves", () => {
    const [a, b] = [parameter(1), parameter(1)];
    const optimizer = new SGD([{ params: a }, { params: b }], { lr: 0.1 });
    for (const p of [a, b]) p.grad = tensor([1]);
    optimizer.paramGroups[1].lr = Number.NaN;
    expect(() => optimizer.step()).toThrow(refused("lr: expected a number of at least 0, got NaN"));
    expect(a.item()).toBe(1);
  });
});

it("a user's optimizer", () => {
  class SignSGD extends Optimizer {
    constructor(params: Params<{ lr?: number }>, { lr = 1e-3 } = {}) {
      super(params, { lr, weightDecay: 0 });
    }
    protected override update({ lr }: ParamGroup, params: readonly Tensor[]): void {
      for (const { data, grad } of params) {
        for (const [i, g] of grad?.data.entries() ?? []) data[i] -= lr * Math.sign(g);
      }
    }
  }
  const p = parameter(1, 2);
  p.grad = tensor([7, -0.1]);
  new SignSGD([p], { lr: 0.5 }).step();
  expect(p.toArray()).toEqual([0.5, 2.5]);
});

it("clipGradValue limits every element", () => {
  const p = parameter(1, 2, 3);
  p.grad = tensor([-3, 0.25, 2]);
  clipGradValue([p], 0.5);
  expect(p.grad.toArray()).toEqual([-0.5, 0.25, 0.5]);
});

describe("by name", () => {
  const context = () => ({ params: [parameter(1)], lr: 0.1, weightDecay: 0.01 });

  it.each([
    ["adamw", AdamW, { lr: 0.1, weightDecay: 0.01, betas: [0.9, 0.999] }],
    ["adam(betas=[0.8, 0.9], amsgrad=true)", Adam, { betas: [0.8, 0.9], amsgrad: true }],
    ["sgd(momentum=0.9, nesterov=true)", SGD, { lr: 0.1, momentum: 0.9, nesterov: true, dampening: 0 }],
    ["sgd(momentum=0.9, dampening=-1.5)", SGD, { momentum: 0.9, dampening: -1.5 }],
  ] as const)("%s", (expression, kind, options) => {
    const optimizer = OPTIMIZERS.resolve(expression, context());
    expect(optimizer).toBeInstanceOf(kind);
    expect(optimizer.paramGroups[0]).toMatchObject(options);
  });

  /** The rates of two groups, before each of three epochs of two steps. */
  function rates(expression: string): number[][] {
    const optimizer = new SGD([{ params: parameter(1) }, { params: parameter(1), lr: 8 }], { lr: 1 });
    const scheduler = createScheduler(expression, { optimizer, epochs: 3, stepsPerEpoch: 2 });
    return [0, 2, 4].map((step) => {
      scheduler.restore(step);
      return scheduler.getLastLr();
    });
  }

  it.each([
    ["multi-step(milestones=[1, 2], gamma=0.5)", [1, 0.5, 0.25]],
    ["step(stepSize=2, gamma=0.5)", [1, 1, 0.5]],
    ["exponential(gamma=0.5)", [1, 0.5, 0.25]],
    ["exponential(gamma=2)", [1, 2, 4]],
    ["linear(start=1, end=0.25)", [1, 0.75, 0.5]],
    ["cosine", [1, 0.75, 0.25]],
    ["cosine-restarts(t0=2, end=0.5)", [1, 0.75, 1]],
    ["cosine-restarts(t0=1, tMult=2)", [1, 1, 0.5]],
    ["polynomial(power=2)", [1, 4 / 9, 1 / 9]],
    ["constant(warmupSteps=3)", [0.25, 0.75, 1]],
    ["multi-step([2], 0.5, warmupSteps=1)", [0.5, 1, 0.5]],
  ])("%s, in epochs from the beginning of the run, over all groups", (expression, wanted) => {
    for (const [i, [first, second]] of rates(expression).entries()) {
      expect(first).toBeCloseTo(wanted[i], 12);
      expect(second).toBeCloseTo(8 * wanted[i], 12);
    }
  });

  it("one-cycle peaks at the rate of each group", () => {
    const [, peak] = rates("one-cycle(pctStart=0.5)");
    expect(peak[1] / peak[0]).toBeCloseTo(8, 12);
  });
});
