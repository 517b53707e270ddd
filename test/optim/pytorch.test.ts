import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadCheckpoint, saveCheckpoint } from "../../src/checkpoint/index.js";
import {
  Adam,
  AdamW,
  ConstantLR,
  CosineAnnealingLR,
  CosineAnnealingWarmRestarts,
  cosineSchedule,
  ExponentialLR,
  LambdaLR,
  LinearLR,
  type LRScheduler,
  MultiStepLR,
  OneCycleLR,
  type Optimizer,
  Parameter,
  PolynomialLR,
  ReduceLROnPlateau,
  SequentialLR,
  SGD,
  StepLR,
  Tensor,
  warmup,
} from "../../src/index.js";
import { describeWith, PYTORCH } from "../helpers/needs.js";
import { runPython } from "../helpers/python.js";
import { temporaryFolder } from "../support.js";

type Options = Record<string, unknown>;
interface Case {
  optimizer: "SGD" | "Adam" | "AdamW";
  options: Options;
  groups: (Options & { params: number[] })[] | null;
  schedule: string | null;
  scheduleOptions: Options | null;
  shown: { step: number; lr: number[]; params: number[][] }[];
}
interface Fixture {
  shapes: number[][];
  start: number[][];
  curvature: number[][];
  target: number[][];
  noise: number[][][];
  cases: Case[];
}
interface Middle {
  params: Tensor[];
  optimizer: object;
  scheduler?: object;
}

const FIXTURES = join(import.meta.dirname, "fixtures");
const fixture = JSON.parse(readFileSync(join(FIXTURES, "optimizers.json"), "utf8")) as Fixture;
const [STEPS, MIDDLE] = [200, 100];
const OPTIMIZERS = { SGD, Adam, AdamW };
const SCHEDULERS: Record<string, new (optimizer: Optimizer, options: never) => LRScheduler> = {
  StepLR,
  MultiStepLR,
  ExponentialLR,
  CosineAnnealingLR,
  LinearLR,
  ConstantLR,
  OneCycleLR,
  PolynomialLR,
  CosineAnnealingWarmRestarts,
};
const LAMBDAS = [(step: number) => 0.99 ** step, (step: number) => 1 / (1 + step)];

/** make_fixtures.py's Run: a quadratic loss with noise. */
class Run {
  readonly params = fixture.shapes.map((shape, i) => new Parameter(Float32Array.from(fixture.start[i]), shape));
  readonly optimizer: Optimizer;
  readonly scheduler: LRScheduler | null;
  step = 0;

  constructor({ optimizer, options, groups, schedule, scheduleOptions }: Case) {
    const ofGroup = ({ params, ...rest }: Options & { params: number[] }) => ({
      ...camel(rest),
      params: params.map((i) => this.params[i]),
    });
    this.optimizer = new OPTIMIZERS[optimizer](groups?.map(ofGroup) ?? this.params, camel(options));
    this.scheduler = schedule === null ? null : schedulerOf(this.optimizer, schedule, camel(scheduleOptions ?? {}));
  }

  /** Goes on to a step. */
  to(end: number): this {
    const { curvature, target, noise } = fixture;
    while (this.step < end) {
      this.step += 1;
      for (const [i, param] of this.params.entries()) {
        const grad = param.data.map((w, j) => {
          const slope = Math.fround(Math.fround(curvature[i][j]) * Math.fround(w - Math.fround(target[i][j])));
          return slope + Math.fround(noise[this.step % noise.length][i][j]);
        });
        param.grad = i === 2 && this.step % 17 === 3 ? null : new Tensor(grad, param.shape);
      }
      this.optimizer.step();
      this.scheduler?.step();
    }
    return this;
  }

  /** Takes over what another run had in its middle. */
  load({ params, optimizer, scheduler }: Middle): this {
    for (const [i, { data }] of params.entries()) this.params[i].data.set(data);
    this.optimizer.loadStateDict(optimizer);
    this.scheduler?.loadStateDict(scheduler);
    this.step = MIDDLE;
    return this;
  }

  expect({ step, lr, params }: Case["shown"][number], lrs = true): void {
    const largest = Math.max(...params.flat().map(Math.abs));
    for (const [i, values] of params.entries()) {
      const distance = Math.max(...values.map((value, j) => Math.abs(value - this.params[i].data[j])));
      expect(distance / largest, `parameter ${i} after step ${step}`).toBeLessThan(1e-6);
    }
    const { paramGroups } = this.optimizer;
    for (const [i, rate] of lrs ? lr.entries() : []) {
      expect(Math.abs(paramGroups[i].lr - rate), `rate ${i} after step ${step}`).toBeLessThanOrEqual(
        1e-12 + 1e-9 * rate,
      );
    }
  }
}

function schedulerOf(optimizer: Optimizer, name: string, options: Options): LRScheduler {
  const totalSteps = STEPS;
  if (name === "LambdaLR") return new LambdaLR(optimizer, { schedule: LAMBDAS, totalSteps });
  if (name === "warmup") {
    return new LambdaLR(optimizer, { schedule: warmup(options.steps as number, cosineSchedule()), totalSteps });
  }
  if (name === "SequentialLR") {
    const parts = options.schedulers as [string, Options][];
    const schedulers = parts.map(([part, own]) => schedulerOf(optimizer, part, camel(own)));
    return new SequentialLR(optimizer, { schedulers, milestones: options.milestones as number[] });
  }
  return new SCHEDULERS[name](optimizer, options as never);
}

/** PyTorch's names of options as they are here. */
function camel(options: Options): Options {
  const names = Object.entries(options).map(([key, value]) => [
    key.replace("T_", "t_").replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
    value,
  ]);
  return Object.fromEntries(names) as Options;
}

const named = fixture.cases.map((found, i): [string, number, Case] => {
  const { optimizer, options, groups, schedule, scheduleOptions } = found;
  const parts = [options, groups, schedule, scheduleOptions].flatMap((part) => (part ? JSON.stringify(part) : []));
  return [`${optimizer} ${parts.join(" ")}`, i, found];
});
const resumable = named.filter(([, , { schedule }]) => schedule !== "warmup");

describe("200 steps are PyTorch's to a millionth of the parameters", () => {
  it.each(named)("%s", (_, __, found) => {
    const run = new Run(found);
    for (const shown of found.shown) run.to(shown.step).expect(shown);
  });
});

describe("schedulers of one optimizer go on from each other's rates, and from one set by hand, as PyTorch's", () => {
  type Made = [string, Options];
  const file = join(FIXTURES, "chained_rates.json");
  const { cases } = JSON.parse(readFileSync(file, "utf8")) as {
    cases: { phases: Made[][]; byHand: Record<string, number>; rates: number[][] }[];
  };

  it.each(cases.map((one) => [JSON.stringify([one.phases, one.byHand]), one] as const))(
    "%s",
    (_, { phases, byHand, rates }) => {
      const parameter = () => new Parameter(new Float32Array(1));
      const optimizer = new SGD([{ params: parameter() }, { params: parameter(), lr: 0.4 }], { lr: 0.1 });
      let count = 0;
      for (const phase of phases) {
        const schedulers = phase.map(([name, options]) => schedulerOf(optimizer, name, camel(options)));
        for (let step = 0; step < 16; step++) {
          for (const scheduler of schedulers) scheduler.step();
          const wanted = rates[count++];
          for (const [i, { lr }] of optimizer.paramGroups.entries()) {
            expect(Math.abs(lr - wanted[i]), `rate ${i} after ${count} steps`).toBeLessThan(1e-12 + 1e-9 * wanted[i]);
          }
          if (String(count) in byHand) optimizer.paramGroups[1].lr = byHand[count];
        }
      }
    },
  );
});

describe("a state dict of PyTorch's is gone on with", () => {
  let middles: Map<number, Middle>;
  beforeAll(async () => {
    middles = (await loadCheckpoint(join(FIXTURES, "state_dicts.pth"))) as unknown as Map<number, Middle>;
  });

  it.each(resumable)("%s", (_, i, found) => {
    const last = found.shown[found.shown.length - 1];
    new Run(found)
      .load(middles.get(i) as Middle)
      .to(STEPS)
      .expect(last);
  });

  it.each(resumable)("and given back key by key: %s", (_, i, found) => {
    const middle = middles.get(i) as Middle;
    const run = new Run(found).load(middle);
    // An empty dictionary has no keys that tell that they would be numbers.
    const { state: kept, ...groups } = run.optimizer.stateDict();
    expect({ ...groups, state: kept.size === 0 ? {} : kept }).toEqual(middle.optimizer);
    const { _last_lr: ours, ...state } = (run.scheduler?.stateDict() ?? { _last_lr: [] }) as Record<string, unknown>;
    const { _last_lr: theirs, ...wanted } = (middle.scheduler ?? { _last_lr: [] }) as { _last_lr: number[] };
    expect(ours).toEqual(theirs);
    const parts = state._schedulers as Record<string, unknown>[] | undefined;
    if (parts === undefined) return expect(state).toEqual(wanted);
    // Of each scheduler the last rate is what it set itself there, and the rate in force here.
    const own = parts.map(({ _last_lr: _, ...rest }) => expect.objectContaining(rest) as unknown);
    expect(wanted).toEqual({ _milestones: state._milestones, last_epoch: MIDDLE, _schedulers: own });
  });
});

const folder = temporaryFolder();

describeWith(PYTORCH, "the real PyTorch continues from a state dict of ours", () => {
  it("all cases", async () => {
    const runs = resumable.map(([, i, found]) => ({ i, found, run: new Run(found).to(MIDDLE) }));
    const states = runs.map(({ i, run }): [number, unknown] => {
      const scheduler = run.scheduler === null ? {} : { scheduler: run.scheduler.stateDict() };
      return [i, { params: run.params, optimizer: run.optimizer.stateDict(), ...scheduler }];
    });
    const file = join(folder, "ours.pth");
    await saveCheckpoint(new Map(states) as never, file);
    const code = `
import json, sys
sys.path.insert(0, sys.argv[2])
import make_fixtures as m, torch
loaded, all_cases, found = torch.load(sys.argv[1], weights_only=True), list(m.cases()), {}
m.SHOWN = (m.STEPS,)
for i, state in loaded.items():
    run = m.Run(*all_cases[i])
    found[i] = run.go_on(state)
print(json.dumps(found))`;
    const found = (await runPython(code, file, import.meta.dirname)) as Record<string, Case["shown"][number]>;
    for (const { i, run } of runs) run.to(STEPS).expect(found[i]);
  });
});

describe("ReduceLROnPlateau gives PyTorch's rates and state, and goes on from it", () => {
  const { figures, cases } = JSON.parse(readFileSync(join(FIXTURES, "plateaus.json"), "utf8")) as {
    figures: (number | null)[];
    cases: { options: Options; rates: number[][]; state: object }[];
  };

  it.each(cases.map((one) => [JSON.stringify(one.options), one] as const))("%s", (_, { options, rates, state }) => {
    const parameter = () => new Parameter(new Float32Array(1));
    const optimizer = new SGD([{ params: parameter() }, { params: parameter(), lr: 0.01 }], { lr: 0.1 });
    let scheduler = new ReduceLROnPlateau(optimizer, camel(options));
    for (const [step, figure] of figures.entries()) {
      scheduler.step(figure ?? Number.NaN);
      for (const [i, lr] of scheduler.getLastLr().entries()) expect(lr).toBeCloseTo(rates[step][i], 12);
      if (step !== figures.length / 2 - 1) continue;
      const { mode_worse: worst, ...own } = scheduler.stateDict();
      expect(Math.abs(Number(worst))).toBe(Number.POSITIVE_INFINITY);
      expect(own).toEqual({ ...state, _last_lr: own._last_lr });
      scheduler = new ReduceLROnPlateau(optimizer).loadStateDict(state);
    }
  });

  it("its state goes through a file, with a best figure that is infinite", async () => {
    const optimizer = new SGD([new Parameter(new Float32Array(1))]);
    const state = new ReduceLROnPlateau(optimizer, { mode: "max", minLr: [0.5] }).stateDict();
    const file = join(folder, "plateau.pth");
    await saveCheckpoint({ scheduler: state }, file);
    const { scheduler: loaded } = (await loadCheckpoint(file)) as { scheduler: object };
    expect(new ReduceLROnPlateau(optimizer).loadStateDict(loaded).stateDict()).toEqual(state);
  });

  it("refuses what is out of range, a step without its figure and the state of another scheduler", () => {
    const optimizer = new SGD([new Parameter(new Float32Array(1))]);
    const scheduler = new ReduceLROnPlateau(optimizer);
    const make = (options: object) => () => new ReduceLROnPlateau(optimizer, options);
    expect(make({ factor: 1 })).toThrow("factor: expected a number from 0 to below 1, got 1");
    expect(make({ mode: "least" })).toThrow('mode: expected "min" or "max", got "least"');
    expect(make({ minLr: [0, 0] })).toThrow("minLr: expected one for each of 1 parameter groups, got [0, 0]");
    expect(() => scheduler.step(undefined as never)).toThrow("metric: expected a number, got undefined");
    const other = new StepLR(optimizer, { stepSize: 1 }).stateDict();
    expect(() => scheduler.loadStateDict(other)).toThrow(expect.objectContaining({ code: "STATE_DICT_MISMATCH" }));
    expect(scheduler.stateDict()).toMatchObject({ factor: 0.1, last_epoch: 0 });
  });
});
