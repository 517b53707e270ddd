import { describe, expect, it } from "vitest";
import { AdamW, OneCycleLR, Parameter, Tensor } from "../../src/index.js";
import { expectClose } from "./close.js";
import { readFixture, type Stored } from "./fixture.js";

interface Case {
  name: string;
  options: { lr?: number; weight_decay?: number; betas?: [number, number]; eps?: number };
  schedule: {
    max_lr: number;
    total_steps: number;
    pct_start: number;
    div_factor: number;
    final_div_factor: number;
  } | null;
  skips: number[];
  shown: { step: number; params: number[][]; lr: number; beta1: number }[];
  state: { exp_avg: number[]; exp_avg_sq: number[]; step: number }[];
}

const { start, grads, cases } = readFixture<{ start: Stored[]; grads: number[][][]; cases: Case[] }>("adamw");

/** Of each step some roundings of single precision (6e-8), over 25 steps. */
const PARAMS = { rel: 5e-7, abs: 5e-7 };
/** The first moment is a sum of gradients of both signs, which may cancel; the second is one of squares. */
const FIRST = { rel: 5e-7, ofLargest: 2e-7 };
const SECOND = { rel: 1e-6 };
/** Numbers of double precision, but for the cosine's last place. */
const RATES = { rel: 1e-12 };

describe("AdamW is PyTorch's", () => {
  it.each(cases)("$name", ({ options, schedule, skips, shown, state }) => {
    const params = start.map(({ shape, values }) => new Parameter(Float32Array.from(values), shape));
    const optimizer = new AdamW(params, named(options));
    const scheduler = schedule && new OneCycleLR(optimizer, cycle(schedule));
    grads.forEach((ofStep, i) => {
      const step = i + 1;
      params.forEach((param, j) => {
        const skipped = j === params.length - 1 && skips.includes(step);
        param.grad = skipped ? null : new Tensor(Float32Array.from(ofStep[j] ?? []), param.shape);
      });
      optimizer.step();
      scheduler?.step();
      const expected = shown.find((entry) => entry.step === step);
      if (expected) checkStep(optimizer, expected);
    });
    state.forEach((expected, j) => {
      const state = optimizer.state.get(optimizer.parameters[j]);
      expect(state?.step).toBe(expected.step);
      expectClose(state?.expAvg ?? [], expected.exp_avg, FIRST, `exp_avg of parameter ${j}`);
      expectClose(state?.expAvgSq ?? [], expected.exp_avg_sq, SECOND, `exp_avg_sq of parameter ${j}`);
    });
  });
});

function checkStep(optimizer: AdamW, { step, params, lr, beta1 }: Case["shown"][number]): void {
  params.forEach((values, j) => {
    expectClose(optimizer.parameters[j]?.data ?? [], values, PARAMS, `parameter ${j} after step ${step}`);
  });
  expectClose(
    [optimizer.paramGroups[0].lr, optimizer.paramGroups[0].betas[0]],
    [lr, beta1],
    RATES,
    `lr and beta1 after step ${step}`,
  );
}

function named({ weight_decay, ...options }: Case["options"]) {
  return { ...options, ...(weight_decay === undefined ? {} : { weightDecay: weight_decay }) };
}

function cycle(schedule: NonNullable<Case["schedule"]>) {
  return {
    maxLr: schedule.max_lr,
    totalSteps: schedule.total_steps,
    pctStart: schedule.pct_start,
    divFactor: schedule.div_factor,
    finalDivFactor: schedule.final_div_factor,
  };
}
