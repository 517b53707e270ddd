import { describe, expect, it } from "vitest";
import { AdamW, OneCycleLR, type OneCycleOptions, zeros } from "../../src/index.js";
import { expectClose } from "./close.js";
import { readFixture } from "./fixture.js";

interface Case {
  name: string;
  options: Record<string, number | string | boolean> & { max_lr: number };
  lr: number[];
  beta1: number[];
}

/** The same formula in double precision: only the cosine's last place may differ, and is a part of the largest rate. */
const TOLERANCE = { ofLargest: 1e-15, rel: 1e-12 };

describe("OneCycleLR is PyTorch's", () => {
  it.each(readFixture<{ cases: Case[] }>("one_cycle_lr").cases)("$name", ({ options, lr, beta1 }) => {
    const optimizer = new AdamW([zeros([1])]);
    const scheduler = new OneCycleLR(optimizer, named(options));
    const [rates, betas]: [number[], number[]] = [[], []];
    for (let step = 0; step < lr.length; step++) {
      if (step > 0) scheduler.step();
      rates.push(...scheduler.getLastLr());
      betas.push(optimizer.paramGroups[0].betas[0]);
    }
    expectClose(rates, lr, TOLERANCE, "lr");
    expectClose(betas, beta1, TOLERANCE, "beta1");
    if (lr.length === scheduler.totalSteps + 1) expect(() => scheduler.step()).toThrow(/steps/);
  });
});

/** PyTorch's options under their names here: max_lr is maxLr. */
function named(options: Case["options"]): OneCycleOptions {
  const camel = (key: string) => key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  const entries = Object.entries(options).map(([key, value]) => [camel(key), value]);
  return { maxLr: options.max_lr, ...Object.fromEntries(entries) };
}
